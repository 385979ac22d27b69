"""`tensor_algebra`: textbook metrics, symmetries, identities, and metrics that are none."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
import sympy

from physlab.errors import PhysicsError, ValidationError
from physlab.expressions import parse
from physlab.tools import load_tools
from physlab.tools.cas.derivatives import UnknownFunction
from physlab.tools.tensors.curvature import Geometry
from physlab.tools.tensors.metrics import NAMED, read_metric

Ask = Callable[..., Any]
POLAR = ["t", "r", "theta", "phi"]


def diagonal(*entries: str) -> list[list[str | int]]:
    return [[entry if i == j else 0 for j in range(len(entries))] for i, entry in enumerate(entries)]


def listed(components: list[dict[str, Any]]) -> dict[str, str]:
    return {" ".join(item["coords"]): item["value"] for item in components}


def same(one: str, other: str) -> bool:
    """Say whether two formulas are equal, Derivative(a(t), …) included."""
    function = UnknownFunction("a", "t")
    read = [parse(function.mark(text), variables=("a", "a__1", "a__2")).to_sympy() for text in (one, other)]
    return bool(sympy.simplify(read[0] - read[1]) == 0)


def test_sphere(ask: Ask) -> None:
    """R = 2/R²; Γ^θ_φφ = −sin θ cos θ, Γ^φ_θφ = cot θ."""
    results = ask("tensor_algebra", metric="sphere", compute="all")["results"]
    assert results["ricci_scalar"]["value"] == "2/R**2"
    assert results["kretschmann"]["value"] == "4/R**4"
    assert listed(results["christoffel"]) == {
        "theta phi phi": "-sin(theta)*cos(theta)",
        "phi theta phi": "cos(theta)/sin(theta)",
        "phi phi theta": "cos(theta)/sin(theta)",
    }
    assert results["christoffel"][0]["indices"] == [0, 1, 1]
    assert results["christoffel"][0]["latex"].startswith(r"\Gamma^{\theta}{}_{\phi \phi} = - \sin")
    assert results["einstein"] == []  # in two dimensions
    assert results["geodesics"][0]["acceleration"] == "u_phi**2*sin(theta)*cos(theta)"
    assert results["geodesics"][0]["equation"] == "d2theta/dlambda2 = u_phi**2*sin(theta)*cos(theta)"


def test_schwarzschild(ask: Ask) -> None:
    """MTW (31.4): vacuum, K = 48 M²/r⁶; Carroll (5.53): Γ^r_tt = M(r − 2M)/r³."""
    results = ask("tensor_algebra", metric="schwarzschild", compute=["ricci", "kretschmann", "christoffel"])["results"]
    assert results["ricci"] == []
    assert results["kretschmann"]["value"] == "48*M**2/r**6"
    symbols = listed(results["christoffel"])
    assert same(symbols["r t t"], "M*(r - 2*M)/r^3")
    assert same(symbols["r theta theta"], "-(r - 2*M)")
    assert same(symbols["t t r"], "M/(r*(r - 2*M))")


def test_schwarzschild_in_other_coordinates(ask: Ask) -> None:
    """Painlevé-Gullstrand coordinates, with roots and a cross term, hold the same geometry."""
    metric: list[list[Any]] = diagonal("-(1 - 2*M/r)", "1", "r^2", "r^2*sin(theta)^2")
    metric[0][1] = metric[1][0] = "sqrt(2*M/r)"
    results = ask("tensor_algebra", metric=metric, coords=POLAR, compute=["ricci", "kretschmann"])["results"]
    assert (results["ricci"], results["kretschmann"]["value"]) == ([], "48*M**2/r**6")


def test_kerr_is_a_vacuum(ask: Ask) -> None:
    results = ask("tensor_algebra", metric="kerr", compute=["ricci", "ricci_scalar"])["results"]
    assert results["ricci"] == []
    assert results["ricci_scalar"]["value"] == "0"


def test_kerr_kretschmann_scalar(ask: Ask) -> None:
    """R. C. Henry, ApJ 535, 350 (2000): K = 48 M² (r² − x²)((r² + x²)² − 16 r² x²)/(r² + x²)⁶, x = a cos θ."""
    values = {"M": 1, "a": 0.5}
    value = ask("tensor_algebra", metric="kerr", compute="kretschmann", vars=values)["results"]["kretschmann"]["value"]
    for r, cosine in ((3.0, 0.3), (2.0, -0.9), (5.5, 0.0)):
        x, theta = 0.5 * cosine, float(sympy.acos(cosine))
        truth = 48 * (r**2 - x**2) * ((r**2 + x**2) ** 2 - 16 * r**2 * x**2) / (r**2 + x**2) ** 6
        assert float(parse(value).evaluate(r=r, theta=theta)) == pytest.approx(truth, rel=1e-10)


def test_flrw(ask: Ask) -> None:
    """Carroll, Spacetime and Geometry, (8.40)-(8.47): Friedmann's equations."""
    results = ask("tensor_algebra", metric="flrw", compute=["ricci", "ricci_scalar", "einstein"])["results"]
    first, second = "Derivative(a(t), t)", "Derivative(a(t), t, 2)"
    ricci = listed(results["ricci"])
    assert same(ricci["t t"], f"-3*{second}/a(t)")
    assert same(ricci["r r"], f"(a(t)*{second} + 2*{first}^2 + 2*k)/(1 - k*r^2)")
    assert same(results["ricci_scalar"]["value"], f"6*({second}/a(t) + ({first}/a(t))^2 + k/a(t)^2)")
    assert same(listed(results["einstein"])["t t"], f"3*({first}^2 + k)/a(t)^2")


def test_matter_dominated_universe(ask: Ask) -> None:
    """With a = t^(2/3): G_tt = 3 (ȧ/a)² = 4/3t², and no pressure."""
    metric = diagonal("-1", "t^(4/3)", "t^(4/3)", "t^(4/3)")
    results = ask("tensor_algebra", metric=metric, coords=["t", "x", "y", "z"], compute="einstein")["results"]
    assert listed(results["einstein"]) == {"t t": "4/(3*t**2)"}


@pytest.mark.parametrize(
    ("metric", "coords", "scalar"),
    [
        (diagonal("1", "sinh(x)^2"), ["x", "y"], "-2"),  # hyperbolic plane
        (diagonal("1/y^2", "1/y^2"), ["x", "y"], "-2"),  # its half-plane
        (diagonal("1", "r^2"), ["r", "phi"], "0"),
        (diagonal("-exp(2*a*x)", "exp(2*a*x)"), ["t", "x"], "0"),  # Rindler
        (diagonal("-1", "exp(2*H*t)", "exp(2*H*t)", "exp(2*H*t)"), ["t", "x", "y", "z"], "12*H**2"),  # de Sitter
        (diagonal("1", "sin(χ)^2", "sin(χ)^2*sin(θ)^2"), ["χ", "θ", "φ"], "6"),  # unit three-sphere
        (diagonal("1", "(1 - cos(2*x))/2"), ["x", "y"], "2"),
    ],
)
def test_constant_curvature(ask: Ask, metric: Any, coords: list[str], scalar: str) -> None:
    answer = ask("tensor_algebra", metric=metric, coords=coords, compute="ricci_scalar")
    assert answer["results"]["ricci_scalar"]["value"] == scalar


def test_flat_space(ask: Ask) -> None:
    answer = ask("tensor_algebra", metric="minkowski", compute="all")
    tensors = ("christoffel", "riemann", "ricci", "einstein")
    assert all(answer["results"][name] == [] for name in tensors)
    assert answer["inverse_metric"][0][0] == "-1"
    assert answer["computation"] == answer["capabilities"]


@pytest.fixture(scope="module")
def rotating() -> Geometry:
    """A metric without symmetry between its coordinates: Kerr with numbers."""
    return Geometry(*read_metric(NAMED["kerr"].rows, list(NAMED["kerr"].coords), {}, {"M": 1, "a": 0.5}))


def test_symmetries_of_the_riemann_tensor(rotating: Geometry) -> None:
    """R_abcd = −R_bacd = −R_abdc = R_cdab and R_abcd + R_acdb + R_adbc = 0 (MTW 8.45, 8.46)."""
    space, zero = rotating, rotating.algebra.field.zero
    lowered = {}
    for a, b, c, d in product(space.axes, repeat=4):
        parts = (space.algebra.reduce(space.lower[a][e] * space.riemann.get((e, b, c, d), zero)) for e in space.axes)
        lowered[a, b, c, d] = space.algebra.reduce(sum(parts, zero))
    for a, b, c, d in product(space.axes, repeat=4):
        value = lowered[a, b, c, d]
        assert value == -lowered[b, a, c, d] == -lowered[a, b, d, c] == lowered[c, d, a, b]
        assert not space.algebra.reduce(value + lowered[a, c, d, b] + lowered[a, d, b, c])
    assert lowered[0, 1, 2, 3]  # so that the last identity says something


def test_riemann_against_its_definition(rotating: Geometry) -> None:
    """R^a_bcd = ∂_c Γ^a_bd − ∂_d Γ^a_bc + Γ^a_ce Γ^e_bd − Γ^a_de Γ^e_bc (MTW 8.44)."""
    space, field = rotating, rotating.algebra
    gamma = space.christoffel
    for a, b, c, d in ((0, 3, 0, 3), (1, 2, 1, 2), (0, 1, 2, 3), (3, 2, 0, 1), (2, 0, 2, 3)):
        value = field.derive(gamma[a, b, d], space.coords[c]) - field.derive(gamma[a, b, c], space.coords[d])
        for e in space.axes:
            value += gamma[a, c, e] * gamma[e, b, d] - gamma[a, d, e] * gamma[e, b, c]
        assert field.reduce(value - space.riemann[a, b, c, d]) == 0


def test_functions_with_a_taken_name(ask: Ask) -> None:
    """Static stars, MTW (23.27): G_tt = 2 m′ e^{2Φ}/r²; here Φ is called beta."""
    metric = diagonal("-exp(2*beta(r))", "1/(1 - 2*m(r)/r)", "r²", "r² sin(θ)²")
    answer = ask(
        "tensor_algebra", metric=metric, coords=["t", "r", "θ", "ϕ"], compute="einstein", functions={"beta": "r"}
    )
    assert listed(answer["results"]["einstein"])["t t"] == "2*exp(2*beta(r))*Derivative(m(r), r)/r**2"


def test_what_cannot_be_told_apart_is_said(ask: Ask) -> None:
    answer = ask("tensor_algebra", metric=diagonal("sqrt(x*y)", "sqrt(x + y)"), coords=["x", "y"], compute="ricci")
    assert "independent" in answer.context.warnings[0]


@pytest.mark.parametrize(
    ("params", "error", "says"),
    [
        ({"metric": [[1, 0], [0]], "coords": ["x", "y"]}, PhysicsError, "not square"),
        ({"metric": [["1", "x"], ["y", "1"]], "coords": ["x", "y"]}, PhysicsError, "not symmetric"),
        ({"metric": [[1, 1], [1, 1]], "coords": ["x", "y"]}, PhysicsError, "no inverse"),
        ({"metric": diagonal("sin(x)^2 + cos(x)^2 - 1", "1"), "coords": ["x", "y"]}, PhysicsError, "no inverse"),
        ({"metric": diagonal("1", "1"), "coords": ["x"]}, ValidationError, "2 × 2"),
        ({"metric": diagonal("1", "1"), "coords": ["x", "x"]}, ValidationError, "twice"),
        ({"metric": diagonal("1", "1")}, ValidationError, "needs coords"),
        ({"metric": [[1]], "coords": ["x"]}, ValidationError, "2 to 6"),
        ({"metric": diagonal("1", "x +"), "coords": ["x", "y"]}, ValidationError, "cannot be read"),
        ({"metric": diagonal("1", "abs(x)"), "coords": ["x", "y"]}, ValidationError, "not smooth"),
        ({"metric": diagonal("1", "I"), "coords": ["x", "y"]}, ValidationError, "real"),
        ({"metric": diagonal("1", "f(z)"), "coords": ["x", "y"]}, ValidationError, "unknown function"),
        ({"metric": "kerrr"}, ValidationError, "kerr"),
        ({"metric": "kerr", "coords": ["t", "x", "y", "z"]}, ValidationError, "written in"),
        ({"metric": "kerr", "compute": ["weyl"]}, ValidationError, "compute"),
        ({"metric": "kerr", "compute": []}, ValidationError, "compute"),
        ({"metric": "kerr", "vars": {"r": 1}}, ValidationError, "coordinate"),
    ],
)
def test_wrong_parameters(ask: Ask, params: dict[str, Any], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        ask("tensor_algebra", **params)


def test_time_limit() -> None:
    assert load_tools().find("tensor_algebra").time_limit_s == 10
