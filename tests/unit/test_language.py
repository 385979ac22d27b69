"""Sentences: what is understood makes a graph that validates, everything else is refused with examples."""

from __future__ import annotations

from typing import Any

import pytest

from physlab.errors import ValidationError
from physlab.language import EXAMPLES, hydrogen_experiment, read_sentence
from tests.unit.conftest import Bench


@pytest.mark.parametrize("sentence", EXAMPLES)
def test_every_example_makes_a_right_graph(bench: Bench, sentence: str) -> None:
    spec = read_sentence(sentence)
    checked = bench.lab.check(bench.lab.read(spec, bench.folder))
    assert checked.problems == []
    assert spec["metadata"]["description"] == sentence


@pytest.mark.parametrize(
    ("sentence", "tool", "params"),
    [
        ("Differentiate t**2*sin(t).", "cas.diff", {"expr": "t**2*sin(t)", "symbol": "t"}),
        ("derivative of a*x**2", "cas.diff", {"expr": "a*x**2", "symbol": "x"}),
        ("derive a*t wrt a", "cas.diff", {"expr": "a*t", "symbol": "a"}),
        ("integrate exp(-r)*r**2 from 0 to 3.5", "cas.integrate",
         {"expr": "exp(-r)*r**2", "symbol": "r", "bounds": [0.0, 3.5]}),
        ("integral of sin(x) between -1 and 2e0", "cas.integrate",
         {"expr": "sin(x)", "symbol": "x", "bounds": [-1.0, 2.0]}),
        ("integrate pi", "cas.integrate", {"expr": "pi", "symbol": "x"}),
        ("Solve v**2 = 2 for v", "cas.solve_equation", {"equation": "v**2 = 2", "symbol": "v"}),
        ("draw x**2", "plot.function_2d", {"f": "x**2", "x_min": -10.0, "x_max": 10.0}),
        ("convert 5 km/s to m/s", "units_convert", {"quantity": {"value": 5.0, "unit": "km/s"}, "to": "m/s"}),
        ("What is the value of the hydrogen mass?", "constants_get", {"name": "hydrogen mass"}),
    ],
)  # fmt: skip
def test_sentences(sentence: str, tool: str, params: dict[str, Any]) -> None:
    [node] = read_sentence(sentence)["nodes"]
    assert ".".join(filter(None, (node["tool"], node.get("method")))) == tool
    assert node["params"] == params


def test_quantum_numbers_are_read() -> None:
    def state(sentence: str) -> dict[str, Any]:
        nodes = {node["id"]: node for node in read_sentence(sentence)["nodes"]}
        return {**nodes["state"]["params"], "moves": "motion" in nodes}

    assert state("hydrogen 3d state") == {"problem": "hydrogen", "n": 3, "l": 2, "m": 0, "moves": False}
    assert state("radial function of hydrogen with n = 4, l=1, m=-1 as a movie") == {
        "problem": "hydrogen", "n": 4, "l": 1, "m": -1, "moves": True,
    }  # fmt: skip
    assert state("the 2p orbital of hydrogen")["l"] == 1


@pytest.mark.parametrize(("n", "l_"), [(1, 0), (2, 0), (2, 1), (3, 2), (4, 1)])
def test_the_moving_superposition_has_a_dipole(n: int, l_: int) -> None:
    motion = next(node for node in hydrogen_experiment(n, l_, 0, animation=True)["nodes"] if node["id"] == "motion")
    one, other = motion["params"]["superposition"]
    assert abs(one["l"] - other["l"]) == 1 and one["n"] != other["n"]  # otherwise ⟨z⟩ is 0, or does not move


@pytest.mark.parametrize("sentence", ["", "make me a sandwich", "hydrogen", "mass of hydrogen", "plot"])
def test_the_rest_is_refused_with_examples(sentence: str) -> None:
    with pytest.raises(ValidationError) as raised:
        read_sentence(sentence)
    assert all(example in raised.value.hint for example in EXAMPLES)


@pytest.mark.parametrize("sentence", ["differentiate a*t", "solve u*v = 1", "integrate k*r from 0 to 1"])
def test_two_symbols_are_asked_about(sentence: str) -> None:
    with pytest.raises(ValidationError, match="Say which one"):
        read_sentence(sentence)


def test_a_plot_is_over_x() -> None:
    with pytest.raises(ValidationError, match="as x"):
        read_sentence("plot sin(t)")
