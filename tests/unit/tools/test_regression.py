"""`ml_ai_augmentation.symbolic_regression_train`: known laws found again, honest scores, readable data."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sympy

from physlab.errors import MissingExtraError, ValidationError
from physlab.expressions import parse
from physlab.tools.regression.fit import fit, plainest
from physlab.tools.regression.search import OPERATIONS, scale_of, to_sympy
from physlab.tools.regression.units import check_units

pyoperon = pytest.importorskip("pyoperon", reason="the extra `ml` is not installed")

Ask = Callable[..., Any]
ROOT = Path(__file__).resolve().parents[3]
QUICK = {"pop_size": 300, "generations": 15}

# Mercury to Neptune: semi-major axes of E. M. Standish, Keplerian elements for approximate positions of the major
# planets, table 1 (J2000) [au]; sidereal periods of JPL, Planetary physical parameters [Julian years].
AXES = [0.38709927, 0.72333566, 1.00000261, 1.52371034, 5.20288700, 9.53667594, 19.18916464, 30.06992276]
PERIODS = [0.2408467, 0.61519726, 1.0000174, 1.8808476, 11.862615, 29.447498, 84.016846, 164.79132]


def train(ask: Ask, **params: Any) -> Any:
    return ask("ml_ai_augmentation", "symbolic_regression_train", **{**QUICK, **params})


def numbers(answer: Any, **columns: Any) -> Any:
    return parse(answer["expression_sympy"], variables=columns).evaluate(**columns)


def test_keplers_third_law(ask: Ask) -> None:
    """T = a^(3/2) year/au^(3/2): the elements are osculating, so the factor is 1 to 1e-3 only."""
    answer = train(ask, X={"a": AXES}, y=PERIODS, target="T", units={"a": "au", "T": "year"}, pop_size=1000,
                   generations=30)  # fmt: skip
    assert sympy.simplify(sympy.Symbol("a") ** sympy.Rational(3, 2) * sympy.Symbol("c_1")).equals(
        parse(answer["template"]).to_sympy()
    )
    [constant] = answer["constants"]
    assert constant["value"] == pytest.approx(1, abs=1e-3)
    assert 0 < constant["standard_error"] < 1e-3
    assert constant["unit"] == "year / astronomical_unit ** 1.5"
    assert answer["dimensions"]["fits"] is True
    assert answer.context.meta["r2_score"] > 1 - 1e-6
    assert any("8 rows" in text for text in answer.context.warnings)
    assert any("fixed at 3/2" in text for text in answer.context.warnings)
    assert answer["held_out"]["rows"] == 8 and "left out" in answer["held_out"]["kind"]


def test_a_damped_oscillation(ask: Ask) -> None:
    """θ = 2 e^(−0.3 t) cos 3t with noise of 0.01: constants within four of their standard errors."""
    t = np.linspace(0, 10, 200)
    theta = 2 * np.exp(-0.3 * t) * np.cos(3 * t) + 0.01 * np.random.default_rng(0).normal(size=200)
    answer = train(ask, X=t, features=["t"], y=theta, target="theta", ops="+ - * / sin cos exp", pop_size=1000,
                   generations=30)  # fmt: skip
    later = np.linspace(10, 14, 50)
    assert numbers(answer, t=later) == pytest.approx(2 * np.exp(-0.3 * later) * np.cos(3 * later), abs=0.01)
    found = {round(abs(item["value"]), 1): item for item in answer["constants"]}
    assert set(found) == {0.3, 2.0, 3.0}
    for true, item in found.items():
        assert abs(abs(item["value"]) - true) < 4 * item["standard_error"]
    assert answer.context.meta["mse"] == pytest.approx(1e-4, rel=0.3)
    assert answer["held_out"]["r2"] > 0.999


def test_newtons_law_in_si_units(ask: Ask) -> None:
    """F = G m₁m₂/r² over masses of 1e24 kg and 1e8 m, beyond single precision without scaling; 1 % noise."""
    rng = np.random.default_rng(0)
    x = rng.uniform(1, 5, (200, 3)) * (1e24, 1e24, 1e8)
    force = 6.6743e-11 * x[:, 0] * x[:, 1] / x[:, 2] ** 2 * (1 + 0.01 * rng.normal(size=200))
    answer = train(ask, X=x, features=["m_1", "m_2", "r"], y=force, target="F", ops="+ - * /", pop_size=500,
                   generations=30, units={"m_1": "kg", "m_2": "kg", "r": "m", "F": "N"})  # fmt: skip
    [g] = answer["constants"]
    assert g["value"] == pytest.approx(6.6743e-11, abs=5 * g["standard_error"])
    assert g["unit"] == "meter ** 2 * newton / kilogram ** 2"
    assert parse(answer["template"]).names == {"c_1", "m_1", "m_2", "r"}


def test_plancks_law(ask: Ask) -> None:
    """Noisy data of x³/(eˣ − 1): it is hard to find, so only what is predicted is asked, and where the peak lies.

    The peak solves x = 3 (1 − e^(−x)), x = 2.8214 (Wien).
    """
    x = np.linspace(0.2, 10, 200)
    y = x**3 / np.expm1(x) + 0.003 * np.random.default_rng(1).normal(size=200)
    answer = train(ask, X={"x": x}, y=y, ops=["+", "-", "*", "/", "exp"], pop_size=800, generations=25)
    fine = np.linspace(1, 6, 5001)
    assert numbers(answer, x=fine) == pytest.approx(fine**3 / np.expm1(fine), abs=0.01)
    assert fine[np.argmax(numbers(answer, x=fine))] == pytest.approx(2.8214, abs=0.05)


def test_noise_is_called_a_poor_fit(ask: Ask) -> None:
    rng = np.random.default_rng(2)
    answer = train(ask, X=rng.normal(size=(100, 2)), y=rng.normal(size=100))
    assert answer.context.meta["r2_score"] < 0.5
    assert any("poor" in text for text in answer.context.warnings)


def test_only_the_ops_that_were_asked(ask: Ask) -> None:
    t = np.linspace(0.1, 6, 60)
    answer = train(ask, X=t, y=np.sin(t), ops="+ * -")
    for entry in answer["pareto_front"]:
        assert not parse(entry["expression"]).to_sympy().atoms(sympy.Function)
    bare = train(ask, X=t, y=3 * t, ops=["sin"], generations=3)
    for entry in bare["pareto_front"]:
        assert not parse(entry["expression"]).to_sympy().has(sympy.Add, sympy.exp, sympy.log, sympy.cos)


def test_the_front_is_one(ask: Ask) -> None:
    t = np.linspace(0, 6, 80)
    front = train(ask, X=t, y=np.sin(t) + t / 3)["pareto_front"]
    assert sum(entry["chosen"] for entry in front) == 1
    sizes, errors = [entry["complexity"] for entry in front], [entry["mse"] for entry in front]
    assert sizes == sorted(set(sizes))
    assert errors == sorted(errors, reverse=True) or max(np.diff(errors)) < 1e-20


ANOTHER_PROCESS = """
import json, sys
from pathlib import Path
import numpy as np
from physlab.model import Visuals
from physlab.tools import load_tools
from physlab.tools.call import call_method
from physlab.tools.context import Context
context = Context(scratch=lambda: Path("."), visuals=Visuals(static=False, series=False, animation=False))
method = load_tools().find("ml_ai_augmentation", "symbolic_regression_train")
fields = call_method(method, json.loads(sys.argv[1]), context)
print(json.dumps([fields["expression_sympy"], fields["pareto_front"], fields["predictions"].tolist()]))
"""


def test_a_seed_repeats_bit_for_bit(ask: Ask) -> None:
    """Here and in a process of its own; another seed searches elsewhere."""
    x = np.linspace(0.5, 5, 60)
    params = {
        "X": x.tolist(),
        "y": (x * np.exp(-x) + 0.01 * np.sin(40 * x)).tolist(),
        "seed": 7,
        "trials": 2,
        "pop_size": 100,
        "generations": 6,
    }
    here = train(ask, **params)
    run = [sys.executable, "-c", ANOTHER_PROCESS, json.dumps(params)]
    done = subprocess.run(run, capture_output=True, text=True, check=True, cwd=ROOT)
    expected = [here["expression_sympy"], here["pareto_front"], here["predictions"].tolist()]
    assert json.loads(done.stdout) == expected
    assert train(ask, **{**params, "seed": 8})["pareto_front"] != here["pareto_front"]


def test_every_way_to_give_data(ask: Ask, tmp_path: Path) -> None:
    x = np.linspace(1, 4, 30)
    rows = "\n".join(f"{a!r},{2 * a!r}" for a in x.tolist())
    path = tmp_path / "line.csv"
    path.write_text(f"a [m],b [s]\n{rows}\n")
    one_column = tmp_path / "y.csv"
    one_column.write_text("b\n" + "\n".join(map(repr, (2 * x).tolist())))
    np.savez(tmp_path / "line.npz", a=x, b=2 * x)
    encoded = base64.b64encode(path.read_bytes()).decode()
    for given in (
        {"X": str(path), "y": "b"},
        {"X": str(path), "target": "b"},
        {"X": str(path), "y": str(path), "target": "b"},
        {"X": str(path), "features": ["a"], "y": str(one_column), "units": {"b": "s"}},
        {"X": str(tmp_path / "line.npz"), "y": "b"},
        {"X": encoded, "y": "b"},
        {"X": {"a": x}, "y": {"b": 2 * x}},
        {"data_x": x.tolist(), "data_y": (2 * x).tolist(), "target_complexity": 5, "max_iterations": 3,
         "features": ["a"], "target": "b"},
    ):  # fmt: skip
        quick = {"pop_size": 50} | ({} if "max_iterations" in given else {"generations": 3})
        answer = ask("ml_ai_augmentation", "symbolic_regression_train", ops="+ *", **quick, **given)
        assert answer["target"] == "b"
        assert numbers(answer, a=np.array([7.0])) == pytest.approx([14.0], rel=1e-9)
        if "csv" in str(given.get("X", "")):
            assert answer["constants"][0]["unit"] == "second / meter"


def test_pictures_and_table(ask: Ask) -> None:
    x = np.linspace(1, 4, 40)
    answer = train(ask, X={"a": x}, y=x**2, generations=3, units={"a": "m", "y": "m^2"},
                   _visuals={"static": True, "series": True})  # fmt: skip
    assert answer["overlay_png_b64"].path.read_bytes().startswith(b"\x89PNG")
    assert answer["residuals_png_b64"].path.read_bytes().startswith(b"\x89PNG")
    lines = answer["csv_prediction_path"].path.read_text().splitlines()
    assert lines[0] == "a [m],y [m^2],prediction [m^2],residual [m^2],held_out"
    assert len(lines) == 41
    assert sum(line.endswith(",1") for line in lines[1:]) == 8


def test_trees_are_read_as_the_engine_computes_them() -> None:
    """Each operation of the engine, evaluated by it and by SymPy, agrees to single precision."""
    dataset = pyoperon.Dataset(np.asfortranarray([[0.3, 0.7, 0.0], [0.6, 0.2, 0.0]]))
    variables = sorted(dataset.Variables, key=lambda item: item.Index)[:2]
    symbols = sympy.symbols("a b", positive=True)
    names = {item.Hash: symbol for item, symbol in zip(variables, symbols, strict=True)}
    for name in OPERATIONS.values():
        leaves = []
        for item in variables:
            leaf = pyoperon.Node(pyoperon.NodeType.Variable)
            leaf.HashValue, leaf.Value = item.Hash, 0.9
            leaves.append(leaf)
        node = pyoperon.Node(getattr(pyoperon.NodeType, name))
        tree = pyoperon.Tree([*leaves[: node.Arity], node]).UpdateNodes()
        engine = pyoperon.Evaluate(tree, dataset, pyoperon.Range(0, 2))
        ours = to_sympy(tree, names)
        for row, value in zip(((0.3, 0.7), (0.6, 0.2)), engine, strict=True):
            assert float(ours.subs(dict(zip(symbols, row, strict=True)))) == pytest.approx(float(value), rel=1e-5), name


def test_standard_errors_are_those_of_a_straight_line() -> None:
    """For y = a + b x: σ_b = s/√Σ(x − x̄)², σ_a = s √(1/n + x̄²/Σ(x − x̄)²) (Bevington and Robinson, eq. 6.23)."""
    x = np.linspace(0, 9, 10)
    y = 1 + 2 * x + np.array([1, -1] * 5) * 0.1
    symbol = sympy.Symbol("x", real=True)
    found = fit(sympy.Float(0.5) + sympy.Float(1.5) * symbol, {"x": x}, y)
    slope, start = np.polyfit(x, y, 1)
    assert found is not None
    values = {str(name): value for name, value in found.constants.items()}
    errors = {str(name): value for name, value in found.errors.items()}
    assert (values["c_1"], values["c_2"]) == pytest.approx((start, slope), rel=1e-9)
    s = np.sqrt(((y - start - slope * x) ** 2).sum() / 8)
    spread = ((x - x.mean()) ** 2).sum()
    assert errors["c_2"] == pytest.approx(s / np.sqrt(spread), rel=1e-7)
    assert errors["c_1"] == pytest.approx(s * np.sqrt(1 / 10 + x.mean() ** 2 / spread), rel=1e-7)
    same = fit((sympy.Float(0.5) + sympy.Float(0.7)) * symbol + sympy.Float(0.2) * symbol, {"x": x}, y)
    assert same is not None and len(same.constants) == 1


def test_what_says_the_same_twice_is_merged() -> None:
    x = sympy.Symbol("x", positive=True)
    merged = plainest(sympy.Float(2.5) * sympy.exp(sympy.Float(0.3) * x + sympy.Float(0.7)))
    assert len(merged.atoms(sympy.Float)) == 2
    assert (scale_of(np.array([3e24, 5e24])), scale_of(np.array([0.5, 2.0])), scale_of(np.zeros(3))) == (1e25, 1, 1)


def test_dimensions_of_a_formula() -> None:
    c, x, t = sympy.symbols("c_1 x t", positive=True)
    fits = check_units(c * sympy.exp(-x / t), {c: 2.0}, {"x": "s", "t": "s", "y": "m"}, "y")
    assert fits.fits and fits.units == {"c_1": "meter"}
    assert not check_units(sympy.exp(x) * c, {c: 2.0}, {"x": "s", "y": "m"}, "y").fits
    assert not check_units(x + t, {}, {"x": "s", "t": "m", "y": "m"}, "y").fits
    mixed = check_units(x + t, {}, {"x": "km", "t": "m", "y": "m"}, "y")
    assert mixed.fits and "mixed units" in mixed.note


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"X": [1, 2, 3, 4, 5]}, "y is missing"),
        ({"X": [1, 2, 3], "y": [1, 2, 3]}, "3 rows"),
        ({"X": [1, 2, 3, 4, 5], "y": [1, 2, 3, 4]}, "5 rows"),
        ({"X": [1, 2, 3, 4, 5], "y": [2, 2, 2, 2, 2]}, "every row"),
        ({"X": [1, 2, float("nan"), 4, 5], "y": [1, 2, 3, 4, 5]}, "row 2"),
        ({"X": [[1, 2], [3]], "y": [1, 2]}, "rectangular"),
        ({"X": [1, 2, 3, 4, 5], "y": [1, 2, 3, 4, 6], "ops": ["erf"]}, "erf"),
        ({"X": [1, 2, 3, 4, 5], "y": [1, 2, 3, 4, 6], "ops": []}, "empty"),
        ({"X": [1, 2, 3, 4, 5], "y": [1, 2, 3, 4, 6], "max_depth": 21}, "max_depth"),
        ({"X": [1, 2, 3, 4, 5], "y": [1, 2, 3, 4, 6], "pop_size": 9}, "pop_size"),
        ({"X": [1, 2, 3, 4, 5], "y": [1, 2, 3, 4, 6], "trials": 11}, "trials"),
        ({"X": [1, 2, 3, 4, 5], "y": [1, 2, 3, 4, 6], "metric": "rmse"}, "metric"),
        ({"X": [1, 2, 3, 4, 5], "y": [1, 2, 3, 4, 6], "features": ["a", "b"]}, "1 columns"),
        ({"X": [1, 2, 3, 4, 5], "y": [1, 2, 3, 4, 6], "features": ["c_1"]}, "constants"),
        ({"X": [1, 2, 3, 4, 5], "y": [1, 2, 3, 4, 6], "units": {"z": "m"}}, "no column"),
        ({"X": "nowhere.csv", "y": "b"}, "nowhere.csv"),
        ({"X": [1, 2, 3, 4, 5], "y": [1, 2, 3, 4, 6], "pop_size": 10_000, "generations": 10_000}, "cap"),
        ({"X": np.arange(100_001.0), "y": np.arange(100_001.0)}, "cap"),
    ],
)
def test_wrong_parameters(ask: Ask, params: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        ask("ml_ai_augmentation", "symbolic_regression_train", **params)


def test_pickled_arrays_are_refused(ask: Ask, tmp_path: Path) -> None:
    np.savez(tmp_path / "bad.npz", a=np.array([{}], dtype=object))
    with pytest.raises(ValidationError, match="no NPZ file of numbers"):
        train(ask, X=str(tmp_path / "bad.npz"), y=[1, 2, 3])


def test_without_the_engine(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyoperon", None)
    with pytest.raises(MissingExtraError, match=r"physlab\[ml\]"):
        train(ask, X=list(range(10)), y=[i**2 for i in range(10)])
