"""Sentences: what is understood makes a graph that validates, everything else is refused with examples."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from physlab import service
from physlab.errors import ValidationError
from physlab.language import EXAMPLES, hydrogen_experiment, read_sentence, understand
from physlab.model import Call
from physlab.model.reference import Reference
from physlab.spelling import read_call
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


@pytest.mark.parametrize("sentence", ["", "make me a sandwich", "hydrogen", "mass of hydrogen", "plot", "plot rain"])
def test_the_rest_is_refused_with_examples(sentence: str) -> None:
    with pytest.raises(ValidationError) as raised:
        read_sentence(sentence)
    assert all(example in raised.value.hint for example in EXAMPLES)


@pytest.mark.parametrize("sentence", ["differentiate a*t", "solve u*v = 1", "integrate k*r from 0 to 1"])
def test_two_symbols_are_asked_about(sentence: str) -> None:
    with pytest.raises(ValidationError, match="say which one"):
        read_sentence(sentence)


def calls(text: str) -> list[str]:
    """Return the methods that a text became."""
    return [".".join(filter(None, (node["tool"], node.get("method")))) for node in understand(text).nodes]


def params(text: str, node: int = -1) -> dict[str, Any]:
    found = understand(text)
    assert not found.missed, found.missed
    return found.nodes[node]["params"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("solve y'' + y = 0 with y(0)=1, y'(0)=0, then plot it from 0 to 9", ["cas.solve_ode", "plot.function_2d"]),
        ("Plot x^2 from 0 to 3. Then integrate it from 0 to 3.", ["plot.function_2d", "cas.integrate"]),
        ("value of the Planck constant, then convert it to eV*s", ["constants_get", "units_convert"]),
        ("load column v from a.csv, take the FFT of it at 20 Hz and plot it",
         ["data.import_csv", "data.fft", "plot.function_2d"]),
        ("please differentiate x^3 and then differentiate it", ["cas.diff", "cas.diff"]),
        ("commutator of sigma_x and sigma_y; partition function of levels 0, 1 meV at 10 K",
         ["quantum.ops", "statmech_partition"]),
        ("draw the vector field (-y, x) from -2 to 2 and show the Bloch sphere of |+>",
         ["plot.field_2d", "quantum.visualize"]),
        ("Christoffel symbols and Ricci scalar of the Schwarzschild metric", ["tensor_algebra"]),
        ("surface plot of exp(-x^2-y^2), contour plot of x*y, then plot x^2+y^2+z^2",
         ["plot.surface_3d", "plot.contour_2d", "plot.volume_3d"]),
        ("phase portrait of x' = y, y' = -sin(x) from -5 to 5", ["plot.phase_portrait"]),
        ("animate sin(x - 2t) from -9 to 9", ["plot.animation"]),
        ("expand (x+1)^3 and factor x^2-1", ["graphing_calculator.expand", "graphing_calculator.factor"]),
        ("search arXiv for dark matter, then find the spectral lines of H I", ["api_tools.arxiv", "api_tools.nist"]),
    ],
)  # fmt: skip
def test_several_steps(text: str, expected: list[str]) -> None:
    assert understand(text).missed == ()
    assert calls(text) == expected


def test_later_steps_speak_of_earlier_ones() -> None:
    text = "solve x'' + 4x = 0 with x(0)=1 and x'(0)=0, plot the solution from 0 to 10 and animate it"
    solution, picture = understand(text).nodes
    assert solution["params"] == {
        "ode": "x'' + 4x = 0", "symbol": "t", "func": "x", "ics": {"x(0)": 1.0, "x'(0)": 0.0},
    }  # fmt: skip
    assert picture["params"] == {"f": "from:solution.expr", "variable": "t", "x_min": 0.0, "x_max": 10.0}
    assert picture["visual_outputs"]["animation"]
    twice = understand("differentiate sin(t)*a wrt t, differentiate it again, then plot it from 0 to 1").nodes
    assert twice[1]["params"] == {"expr": "from:derivative.str", "symbol": "t"}
    assert twice[2]["params"]["f"] == "from:derivative_2.str"


def test_words_of_mathematics() -> None:
    assert params("the second derivative of x to the power 5") == {"expr": "x ^(5)", "symbol": "x", "order": 2}
    assert params("integral of exp(-x) from 0 to infinity")["bounds"] == [0.0, "inf"]
    assert params("plot sin(k x) for x from -pi to 2pi with k = 2 titled 'A wave'") == {
        "f": "sin(k x)", "x_min": pytest.approx(-3.14159265), "x_max": pytest.approx(6.28318531),
        "title": "A wave", "vars": {"k": 2.0},
    }  # fmt: skip
    assert params("plot sin(t), cos(t) and t/10 from 0 to 9") == {
        "f": "sin(t)", "label": "sin(t)", "x_min": 0.0, "x_max": 9.0, "title": "", "variable": "t",
        "curves": [{"f": "cos(t)", "label": "cos(t)"}, {"f": "t/10", "label": "t/10"}],
    }  # fmt: skip
    assert params("the uncertainty of L/T^2 with L = 1.000 ± 0.002 m and T = 2.0 +- 0.1 s")["vars"] == {
        "L": {"value": 1.0, "sigma": 0.002, "unit": "m"}, "T": {"value": 2.0, "sigma": 0.1, "unit": "s"},
    }  # fmt: skip
    assert params("evaluate m*c^2 with m = 2 kg, c = 3e8 m/s")["vars"]["c"] == {"value": 3e8, "unit": "m/s"}
    assert params("Grover search on 3 qubits for 5") == {"problem": "grover", "num_qubits": 3, "marked_item": 5}


@pytest.mark.parametrize(
    ("text", "lost", "why"),
    [
        ("solve x^2 = 2 and make me a sandwich", "make me a sandwich", "no meaning"),
        ("solve y' = -y, then plot it from 0 to 5", "plot it from 0 to 5", r"1 free constant.*y\(0\)"),
        ("plot it", "plot it", "no formula before"),
        ("integrate x from 0 to 1 and plot it", "plot it", "definite integral is a number"),
        ("load a.csv, then take the fft at 5 Hz", "take the fft at 5 Hz", "which, 'load column"),
        ("load column v from a.csv, take the fft", "take the fft", "sample rate is missing"),
        ("plot sin(a*t) over t", "plot sin(a*t) over t", "a too: say 'with a"),
        ("plot sin(t) and cos(u)", "plot sin(t) and cos(u)", "one figure has one variable"),
        ("plot x^2 from 3 to 1", "plot x^2 from 3 to 1", "from one number up"),
        ("convert it to eV", "convert it to eV", "no quantity"),
    ],
)
def test_what_is_not_understood_is_named(text: str, lost: str, why: str) -> None:
    found = understand(text)
    assert [missed.text for missed in found.missed] == [lost]
    assert re.search(why, found.missed[0].why)
    with pytest.raises(ValidationError, match=re.escape(f"'{lost}' is not understood")):
        read_sentence(text)


def test_nothing_that_came_after_a_gap_is_guessed() -> None:
    found = understand("solve x^2 = 2; make me a sandwich; plot it")
    assert [missed.text for missed in found.missed] == ["make me a sandwich", "plot it"]


@pytest.mark.parametrize("text", [
    "solve y'' + 0.2*y' + y = 0 with y(0)=1, y'(0)=0, then plot it from 0 to 30 and animate it",
    "differentiate sin(x)*exp(-x) and plot it from 0 to 5",
    "value of the Planck constant, then convert it to eV*s",
    "x of nothing; particle in a box of length 2 with n=2",
    "Taylor series of cos(x) around 0 to order 6, then plot it from -3 to 3",
    "expand (x+1)^3 and plot it; factor x^2 - 1; the limit of sin(x)/x as x -> 0",
    "Grover search on 3 qubits for 5, then search arXiv for 3 papers; spectral lines of iron II",
])  # fmt: skip
def test_the_graph_of_what_was_understood_is_right(bench: Bench, text: str) -> None:
    checked = bench.lab.check(bench.lab.read(understand(text).spec(text), bench.folder))
    assert checked.problems == []


def test_nli_parse_answers_a_call(bench: Bench) -> None:
    reply = service.answer(bench.lab, Call(tool="nli_parse", params={"text": "differentiate x^2"}), bench.folder)
    assert (reply.body["intent"], reply.body["args"]) == ("cas", {"action": "diff", "expr": "x^2", "symbol": "x"})
    assert reply.body["confidence"] == 1 and reply.body["not_understood"] == []
    call = read_call({"tool": "cas", "params": reply.body["args"]}, bench.lab.vocabulary)
    assert service.answer(bench.lab, call, bench.folder).body["str"] == "2*x"
    several = service.answer(
        bench.lab, Call(tool="nli_parse", params={"text": "solve x^2 = 2 and dance and plot x^2"}), bench.folder
    ).body  # fmt: skip
    assert several["intent"] == "plot" and 0 < several["confidence"] < 1
    assert [item["text"] for item in several["not_understood"]] == ["solve x^2 = 2 and dance"]
    assert "solve x^2 = 2 and dance" in several["meta"]["warnings"][0]
    nothing = service.answer(bench.lab, Call(tool="nli_parse", params={"text": "dance"}), bench.folder).body
    assert (nothing["intent"], nothing["args"], nothing["confidence"], nothing["dag"]) == ("unknown", {}, 0.0, None)
    with pytest.raises(ValidationError):
        service.answer(bench.lab, Call(tool="nli_parse", params={"text": ""}), bench.folder)


FRAGMENTS = (
    "plot", "solve", "it", "x^2", "sin(x)", "from", "0", "to", "3", "and", "then", ",", ";", ". ", "with", "y(0)=1",
    "y'' + y = 0", "=", "the derivative of", "convert", "5 eV", "in", "J", "animate", "as a", "contour", "(", ")", "±",
    "load", "a.csv", "at 5 Hz", "fft", "hydrogen 2p", "twice", "over", "t", "[", "]", "{", "ħω", "\n", "e", "'",
    "search arXiv for",
)  # fmt: skip


@given(st.lists(st.sampled_from(FRAGMENTS), max_size=14).map(" ".join))
@settings(max_examples=400, derandomize=True, deadline=1000)
def test_any_words_are_understood_or_named(text: str) -> None:
    found = understand(text)
    ids = [node["id"] for node in found.nodes]
    assert len(ids) == len(set(ids))
    assert all(missed.why for missed in found.missed)
    for node in found.nodes:
        for value in node["params"].values():
            reference = Reference.parse(value)
            assert reference is None or reference.node in ids[: ids.index(node["id"])]
