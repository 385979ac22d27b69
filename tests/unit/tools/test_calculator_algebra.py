"""The calculator's algebra, calculus, roots and matrices, against closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from physlab.errors import ComputationError, UnitsError, ValidationError
from physlab.tools import load_tools

TOOL = "graphing_calculator"
SQUARE = {"functions": {"f": {"variables": ["x"], "expression": "x^2 + a"}}, "variables": {"a": "sqrt(2)"}}
OPERATIONS = [
    "evaluate", "simplify", "expand", "factor", "solve_equation", "solve_system", "find_roots", "derivative",
    "integral", "limit", "series", "plot_function", "plot_parametric", "plot_polar", "plot_implicit",
    "plot_inequality", "plot_data", "matrix_add", "matrix_multiply", "matrix_determinant", "matrix_inverse",
    "matrix_eigenvalues", "matrix_rref", "stats_descriptive", "stats_regression", "stats_distribution",
    "stats_hypothesis_test", "create_list", "list_operations", "table_values", "store_variable", "recall_variable",
    "define_function", "execute_program", "convert_units", "financial_calc",
]  # fmt: skip


def test_there_are_36_operations_and_each_says_success():
    methods = load_tools().tools[TOOL].methods
    assert sorted(map(str, methods)) == sorted(OPERATIONS) and len(OPERATIONS) == 36
    assert all(method.port("success") is not None for method in methods.values())
    assert load_tools().tools[TOOL].discriminator == "operation"


def test_evaluate_is_exact_and_uses_the_environment(ask):
    a = ask(TOOL, "evaluate", expression="f(3)", environment=SQUARE)
    assert a["success"] is True and a["exact"] == "sqrt(2) + 9" and a["value"] == pytest.approx(9 + 2**0.5, rel=1e-15)
    b = ask(TOOL, "evaluate", expression="0.1 + 0.2")
    assert (b["result"], b["exact"], b["format"]) == ("0.3", "3/10", "decimal")  # not 0.30000000000000004
    assert ask(TOOL, "evaluate", expression="a", environment=SQUARE, variables={"a": "1/3"})["result"] == "1/3"
    assert ask(TOOL, "evaluate", expression="sqrt(-4)")["value"] == {"real": 0.0, "imag": 2.0}


def test_formats_and_precision(ask):
    digits = "3.14159265358979323846264338328"  # π, to 30 significant digits
    assert ask(TOOL, "evaluate", expression="pi", format="decimal", precision=30)["result"] == digits
    near = ask(TOOL, "evaluate", expression="pi", format="fraction", precision=6)
    assert near["result"] == "355/113" and near["exact"] == "pi" and "agrees to 6" in near.context.warnings[0]
    assert ask(TOOL, "evaluate", expression="0.125", format="fraction")["result"] == "1/8"
    with pytest.raises(ComputationError, match="no real number"):
        ask(TOOL, "evaluate", expression="I", format="fraction")


def test_definitions_are_bounded(ask):
    with pytest.raises(ValidationError, match="a → b → a"):
        ask(TOOL, "evaluate", expression="a", variables={"a": "b", "b": "a + 1"})
    tower = {"functions": {"f": {"variables": ["x"], "expression": "x^100"}}}
    with pytest.raises(ValidationError, match="10000 digits"):
        ask(TOOL, "evaluate", expression="f(f(f(f(2))))", environment=tower)
    wide = {"functions": {"f": {"variables": ["x"], "expression": "x + x*x + sin(x)"}}}
    with pytest.raises(ValidationError, match=r"parts|levels"):
        ask(TOOL, "evaluate", expression="f(f(f(f(f(f(f(f(f(f(y))))))))))", environment=wide)


def test_simplify_expand_factor(ask):
    assert ask(TOOL, "simplify", expression="sin(x)^2 + cos(x)^2")["result"] == "1"
    assert ask(TOOL, "expand", expression="(a + b)^2")["result"] == "a**2 + 2*a*b + b**2"
    a = ask(TOOL, "factor", expression="x^3 - 3*x + 2")  # (x - 1)² (x + 2)
    assert {(f["factor"], f["multiplicity"]) for f in a["factors"]} == {("x - 1", 2), ("x + 2", 1)}
    b = ask(TOOL, "factor", expression="360")
    assert b["factors"] == [{"factor": str(p), "multiplicity": e} for p, e in ((2, 3), (3, 2), (5, 1))]
    assert b["result"] == "2**3*3**2*5"


def test_solve_equation(ask):
    a = ask(TOOL, "solve_equation", equation="x^2 = 2")
    assert a["solutions"] == ["-sqrt(2)", "sqrt(2)"] and a["count"] == 2 and a["variable"] == "x"
    b = ask(TOOL, "solve_equation", equation="a*y + b = 0", solve_for="y")
    assert b["solutions"] == ["-b/a"] and b["numeric_solutions"] == [None]
    c = ask(TOOL, "solve_equation", equation="cos(x) = x", guess=1)
    assert c["numeric_solutions"] == pytest.approx([0.7390851332151607], rel=1e-15)  # Dottie number, OEIS A003957


def test_solve_system(ask):
    a = ask(TOOL, "solve_system", equations=["x^2 + y^2 = 25", "x*y = 12"])
    pairs = {(row["x"], row["y"]) for row in a["numeric_solutions"]}
    assert pairs == {(3, 4), (4, 3), (-3, -4), (-4, -3)} and a["free"] == []
    b = ask(TOOL, "solve_system", equations=["x + y = s"], solve_for="x, y", variables={"s": 3})
    assert b["solutions"] == [{"x": "3 - y", "y": "y"}] and b["free"] == ["y"]
    c = ask(TOOL, "solve_system", equations=["cos(x) = y", "y = x"], guess={"x": 1, "y": 1})
    assert c["numeric_solutions"][0]["y"] == pytest.approx(0.7390851332151607, rel=1e-14)


def test_roots_of_polynomials_are_all_found_exactly(ask):
    a = ask(TOOL, "find_roots", expression="(x - 1)^2*(x + 2)*(x^2 - 2)*(x^2 + 1)")
    assert a["exact"] == ["-2", "-sqrt(2)", "1", "sqrt(2)"] and a["multiplicities"] == [1, 1, 2, 1]
    assert a["complete"] and a["method"] == "algebraic"
    b = ask(TOOL, "find_roots", equation="(x^2 - 1)/(x - 1) = 0")  # the numerator's root at the pole is none
    assert b["roots"].tolist() == [-1]
    wilkinson = "*".join(f"(x - {k})" for k in range(1, 21))  # J. H. Wilkinson (1963): hopeless in floating point
    c = ask(TOOL, "find_roots", expression=wilkinson, x_range=[0, 30])
    assert c["roots"].tolist() == list(range(1, 21))


@pytest.mark.parametrize(
    ("formula", "roots", "orders"),
    [
        ("sin(x)", np.pi * np.arange(-3, 4), 1),
        ("sin(x)^2", np.pi * np.arange(-3, 4), 2),
        ("tan(x)", np.pi * np.arange(-3, 4), 1),
        ("sin(x)/x", np.pi * np.array([-3, -2, -1, 1, 2, 3]), 1),
        ("exp(-x^2) - 1/2", np.sqrt(np.log(2)) * np.array([-1, 1]), 1),
        ("log(x)^2", [1], 2),
        ("sqrt(x)*(x - 3)", [0, 3], 1),
        ("abs(x) - 1", [-1, 1], 1),
        ("x^x - 4", [2], 1),
        ("exp(x) + 1", [], 1),
    ],
)
def test_roots_of_other_functions_are_proved(ask, formula, roots, orders):
    a = ask(TOOL, "find_roots", expression=formula)
    assert a["roots"] == pytest.approx(np.array(roots), rel=1e-14, abs=1e-15)
    assert a["complete"] and a["method"] == "interval" and a["multiplicities"] == [orders] * len(roots)


def test_roots_that_cannot_be_proved_are_found_and_named(ask):
    a = ask(TOOL, "find_roots", expression="1 - cos(x)")
    assert a["roots"] == pytest.approx([-2 * np.pi, 0, 2 * np.pi], abs=1e-9) and a["multiplicities"] == [2, 2, 2]
    assert not a["complete"] and "touches zero" in a.context.warnings[0]
    b = ask(TOOL, "find_roots", expression="1.0000001 - cos(x)")  # a near miss is no root
    assert b["count"] == 0
    c = ask(TOOL, "find_roots", expression="besselj(0, x)", x_range=[0, 10])
    zeros = [2.404825557695773, 5.520078110286311, 8.653727912911013]  # DLMF table 10.21.1
    assert c["roots"] == pytest.approx(zeros, rel=1e-14) and c["method"] == "sampled" and not c["complete"]


def test_derivative(ask):
    a = ask(TOOL, "derivative", expression="x^3*sin(x)", order=2, point="pi")
    assert a["exact"] == "-6*pi**2"  # 6x sin x + 6x² cos x - x³ sin x at π
    assert ask(TOOL, "derivative", expression="f(t)", variable="t", environment=SQUARE)["result"] == "2*t"
    assert ask(TOOL, "derivative", expression="abs(x)", point=-2)["result"] == "-1"


def test_integral(ask):
    gauss = ask(TOOL, "integral", expression="exp(-x^2)", bounds=["-inf", "inf"])
    assert gauss["exact"] == "sqrt(pi)" and gauss["definite"]
    assert ask(TOOL, "integral", expression="x^2")["result"] == "x**3/3"
    fresnel = ask(TOOL, "integral", expression="sin(x^2)", bounds=[0, 1], numeric=True)
    assert fresnel["value"] == pytest.approx(0.310268301723381, rel=1e-12)  # Σ (-1)^k/((2k+1)! (4k+3))
    assert fresnel["exact"] is None  # a number from quadrature is no exact formula


def test_limit(ask):
    assert ask(TOOL, "limit", expression="sin(x)/x")["result"] == "1"
    assert ask(TOOL, "limit", expression="(1 + 1/n)^n", variable="n", point="inf")["exact"] == "exp(1)"
    a = ask(TOOL, "limit", expression="1/x", direction="-")
    assert (a["result"], a["value"], a["infinite"]) == ("-inf", None, True) and not a.context.warnings
    for formula, says in (("1/x", "inf from the right, -inf"), ("sin(1/x)", "oscillates"), ("abs(x)/x", "-1 from")):
        with pytest.raises(ComputationError, match=says):
            ask(TOOL, "limit", expression=formula)


def test_series(ask):
    a = ask(TOOL, "series", expression="exp(x)", order=5)
    assert (
        a["numeric_coefficients"] == pytest.approx([1, 1, 1 / 2, 1 / 6, 1 / 24, 1 / 120]) and a["remainder"] == "O(x^6)"
    )
    b = ask(TOOL, "series", expression="1/sin(x)", order=3)  # Laurent: DLMF 4.19.4
    assert b["coefficients"] == [["-1", "1"], ["1", "1/6"], ["3", "7/360"]]
    c = ask(TOOL, "series", expression="log(x)", point=1, order=3)
    assert c["coefficients"] == [["1", "1"], ["2", "-1/2"], ["3", "1/3"]]
    assert ask(TOOL, "series", expression="x^2 + 1", order=4)["remainder"] == "0"


def test_matrices(ask):
    m, n = [[1, 2], [3, 4]], [["a", "1/2"], [0, 1]]
    assert ask(TOOL, "matrix_add", matrix=m, matrix_b=n)["result"] == [["a + 1", "5/2"], ["3", "5"]]
    assert ask(TOOL, "matrix_multiply", matrix=m, matrix_b=m)["matrix"].tolist() == [[7, 10], [15, 22]]
    general = ask(TOOL, "matrix_determinant", matrix=[["a", "b"], ["c", "d"]])
    assert general["result"] == "a*d - b*c" and general["value"] is None
    turn = [["cos(t)", "-sin(t)"], ["sin(t)", "cos(t)"]]
    assert ask(TOOL, "matrix_inverse", matrix=turn)["result"] == [["cos(t)", "sin(t)"], ["-sin(t)", "cos(t)"]]
    rref = ask(TOOL, "matrix_rref", matrix=[[1, 2, 3], [2, 4, 7]])
    assert rref["result"] == [["1", "2", "0"], ["0", "0", "1"]] and rref["pivots"] == [0, 2] and rref["rank"] == 2


def test_the_inverse_of_hilberts_matrix_is_whole(ask):
    hilbert = [[f"1/{i + j + 1}" for j in range(8)] for i in range(8)]
    a = ask(TOOL, "matrix_inverse", matrix=hilbert)
    assert a["result"][0][:3] == ["64", "-2016", "20160"]  # M.-D. Choi, Am. Math. Mon. 90 (1983) 301
    assert a["condition_number"] == pytest.approx(1.5257575e10, rel=1e-4)
    b = ask(TOOL, "matrix_determinant", matrix=hilbert[:3] and [row[:3] for row in hilbert[:3]])
    assert b["exact"] == "1/2160"


def test_eigenvalues(ask):
    a = ask(TOOL, "matrix_eigenvalues", matrix=[[2, 1], [1, 2]])
    assert a["eigenvalues"] == ["1", "3"] and a["eigenvectors"] == [[["-1", "1"]], [["1", "1"]]] and a["diagonalizable"]
    jordan = ask(TOOL, "matrix_eigenvalues", matrix=[[1, 1], [0, 1]])
    assert jordan["multiplicities"] == [2] and jordan["diagonalizable"] is False and len(jordan["eigenvectors"][0]) == 1
    rows = [[1.0, 2, 3, 4, 5], [2, 3, 1, 1, 1], [0, 1, 2, 0, 7], [1, 1, 1, 1, 2], [9, 8, 7, 6, 6.5]]
    b = ask(TOOL, "matrix_eigenvalues", matrix=np.array(rows))
    assert np.array(rows) @ b["vectors"] == pytest.approx(b["vectors"] * b["values"], abs=1e-12)
    assert sum(b["values"]) == pytest.approx(np.trace(rows), rel=1e-13)
    spin = ask(TOOL, "matrix_eigenvalues", matrix={"real": [[0, 0], [0, 0]], "imag": [[0, -1], [1, 0]]})
    assert spin["eigenvalues"] == ["-1", "1"]  # σ_y


def test_convert_units(ask):
    a = ask(TOOL, "convert_units", value=5, from_unit="eV", to_unit="J")
    assert a["value"] == pytest.approx(5 * 1.602176634e-19, rel=1e-15)  # exact since the SI of 2019
    assert a["result"] == "8.01088e-19 joule"
    assert ask(TOOL, "convert_units", value=[0, 100], from_unit="degC", to_unit="degF")["value"] == pytest.approx(
        [32, 212]
    )


@pytest.mark.parametrize(
    ("operation", "params", "kind", "says"),
    [
        ("evaluate", {"expression": "1/0"}, ComputationError, "divides by zero"),
        ("evaluate", {"expression": "__import__('os')"}, ValidationError, "holds"),
        ("evaluate", {"expression": "f(1, 2)", "environment": SQUARE}, ValidationError, "2 arguments"),
        ("evaluate", {"expression": "x < 2"}, ValidationError, "condition"),
        ("evaluate", {"expression": "1", "precission": 3}, ValidationError, "Did you mean 'precision'"),
        ("simplify", {"expression": "sin"}, ValidationError, "without arguments"),
        ("expand", {"expression": "(a+b+c+d)^200"}, ValidationError, "1373701 terms"),
        ("factor", {"expression": "10^80 + 1"}, ComputationError, "40 digits"),
        ("solve_equation", {"equation": "x = x"}, ComputationError, "Every x"),
        ("solve_equation", {"equation": "x = 1", "variable": "z"}, ValidationError, "does not contain z"),
        ("solve_equation", {"equation": "a + b = 1"}, ValidationError, "Say which"),
        ("solve_system", {"equations": ["x + y = 3", "x + y = 4"]}, ComputationError, "contradict"),
        ("solve_system", {"equations": ["x = 1"], "solve_for": ["x", "z"]}, ValidationError, "contains z"),
        ("find_roots", {"expression": "a*x"}, ValidationError, "'a', which has no value"),
        ("find_roots", {"expression": "x - x"}, ComputationError, "contains no|zero everywhere"),
        ("find_roots", {"expression": "x", "x_range": [1, 1]}, ValidationError, "empty"),
        ("derivative", {"expression": "1/x", "point": 0}, ComputationError, "divides by zero"),
        ("derivative", {"expression": "x", "variable": "x", "variables": {"x": 2}}, ValidationError, "Take it out"),
        ("integral", {"expression": "1/x", "bounds": [0, 1]}, ComputationError, "diverges"),
        ("integral", {"expression": "exp(sin(x))"}, ComputationError, "closed form"),
        ("limit", {"expression": "x", "point": "x"}, ValidationError, "depends on x"),
        ("series", {"expression": "log(x)"}, ComputationError, "no power series"),
        ("matrix_add", {"matrix": [[1]], "matrix_b": [[1, 2]]}, ValidationError, "1 x 1 and matrix_b is 1 x 2"),
        ("matrix_multiply", {"matrix": [[1, 2]], "matrix_b": [[1, 2]]}, ValidationError, "2 columns, 1 rows"),
        ("matrix_determinant", {"matrix": [[1, 2, 3]]}, ValidationError, "1 x 3"),
        ("matrix_determinant", {"matrix": [[1, 2], [3]]}, ValidationError, "1, 2 entries"),
        ("matrix_determinant", {"matrix": np.eye(41)}, ValidationError, "at most 40"),
        ("matrix_inverse", {"matrix": [[1, 2], [2, 4]]}, ComputationError, "singular.*rank 1 of 2"),
        (
            "matrix_eigenvalues",
            {"matrix": [["a", 1, 0, 2], [1, "b", 3, 0], [0, 3, 1, 1], [2, 0, 1, 5]]},
            ComputationError,
            "no closed form",
        ),
        ("matrix_rref", {"matrix": [["1/0"]]}, ComputationError, "divides by zero|pole"),
        ("convert_units", {"value": 1, "from_unit": "eV", "to_unit": "m"}, UnitsError, "spectroscopy"),
    ],
)
def test_wrong_requests(ask, operation, params, kind, says):
    with pytest.raises(kind, match=says):
        ask(TOOL, operation, **params)
