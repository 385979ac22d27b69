"""What reads foreign text and JSON gives a value or one of our errors, soon, and never runs anything."""

from __future__ import annotations

import ast
import cmath
import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from physlab.errors import ValidationError
from physlab.expressions import parse
from physlab.model.reference import Reference, find_references
from tests.fuzz.promises import read_formula, read_json, read_name, read_payload

STEADY = settings(derandomize=True, deadline=None, max_examples=150, phases=(Phase.explicit, Phase.generate))
PLACE = {"x": 0.37, "y": 1.9, "alpha": 2.25, "omega_0": 0.8}

# --- a formula has the value that a second, simpler reading of its own tree gives it --------------------------------

Tree = tuple[Any, ...]
ONE: dict[str, Callable[[complex], complex]] = {
    "sin": cmath.sin, "cos": cmath.cos, "exp": cmath.exp, "atan": cmath.atan, "tanh": cmath.tanh, "cosh": cmath.cosh,
}  # fmt: skip
LEAVES: st.SearchStrategy[Tree] = st.one_of(
    st.sampled_from(sorted(PLACE)).map(lambda name: ("name", name)),
    st.integers(0, 12).map(lambda value: ("number", value)),
    st.integers(1, 999).map(lambda value: ("number", value / 100)),
    st.just(("name", "pi")),
)
TREES: st.SearchStrategy[Tree] = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.tuples(st.sampled_from("+-*/"), inner, inner),
        st.tuples(st.just("^"), inner, st.integers(-2, 3).map(lambda value: ("number", value))),
        st.tuples(st.just("call"), st.sampled_from(sorted(ONE)), inner),
        st.tuples(st.just("neg"), inner),
    ),
    max_leaves=10,
)
BINDS = {"+": 1, "-": 1, "neg": 1, "*": 2, "/": 2, "^": 3}


def _value(tree: Tree) -> complex:
    kind = tree[0]
    if kind == "number":
        return complex(tree[1])
    if kind == "name":
        return complex(math.pi if tree[1] == "pi" else PLACE[tree[1]])
    if kind == "call":
        return ONE[tree[1]](_value(tree[2]))
    if kind == "neg":
        return -_value(tree[1])
    left, right = _value(tree[1]), _value(tree[2])
    if kind == "^":
        return complex(left ** int(right.real))
    return {"+": left + right, "-": left - right, "*": left * right}[kind] if kind != "/" else left / right


def _plain(tree: Tree) -> str:
    """Write a tree with as few parentheses as the grammar allows."""
    kind = tree[0]
    if kind in ("number", "name"):
        return str(tree[1])
    if kind == "call":
        return f"{tree[1]}({_plain(tree[2])})"
    if kind == "neg":
        return f"-{_within(tree[1], 2)}"
    if kind == "^":
        return f"{_within(tree[1], 4)}^{_within(tree[2], 4) if tree[2][1] >= 0 else f'({tree[2][1]})'}"
    return f"{_within(tree[1], BINDS[kind])} {kind} {_within(tree[2], BINDS[kind] + 1)}"


def _within(tree: Tree, binds: int) -> str:
    text = _plain(tree)
    return text if BINDS.get(tree[0], 4) >= binds else f"({text})"


def _latex(tree: Tree) -> str:
    kind = tree[0]
    if kind == "number":
        return str(tree[1])
    if kind == "name":
        return {"x": "x", "y": "y", "alpha": r"\alpha", "omega_0": r"\omega_{0}", "pi": r"\pi"}[tree[1]]
    if kind == "call":
        name = {"atan": "arctan"}.get(tree[1], tree[1])
        return rf"\{name}{{\left({_latex(tree[2])}\right)}}"
    if kind == "neg":
        return rf"-\left({_latex(tree[1])}\right)"
    if kind == "/":
        return rf"\frac{{{_latex(tree[1])}}}{{{_latex(tree[2])}}}"
    if kind == "^":
        return rf"\left({_latex(tree[1])}\right)^{{{tree[2][1]}}}"
    sign = {"*": r"\cdot"}.get(kind, kind)
    return rf"\left({_latex(tree[1])}\right) {sign} \left({_latex(tree[2])}\right)"


@STEADY
@given(TREES)
def test_formulas_have_the_value_of_their_grammar(tree: Tree) -> None:
    try:
        wanted = _value(tree)
    except (ZeroDivisionError, OverflowError):
        return
    if not abs(wanted) < 1e12:
        return
    for text in (_plain(tree), f"${_latex(tree)}$"):
        try:
            found = complex(parse(text, list(PLACE)).evaluate(**PLACE))
        except ValidationError as error:
            if "digits" not in str(error):
                raise
            continue
        slack = 1e-9 * max(1.0, _size(tree))
        assert abs(found - wanted) <= slack, text


def _size(tree: Tree) -> float:
    """Return the largest number inside, by which rounding may be carried into the value."""
    inside = [_size(part) for part in tree[1:] if isinstance(part, tuple)]
    with_own = abs(_value(tree))
    return max([with_own, *inside, *(abs(1 / item) for item in inside if item)])


# --- nothing but our errors ----------------------------------------------------------------------------------------

SIGNS = [
    "x",
    "α",
    "sin",
    "cos ",
    "(",
    ")",
    "+",
    "-",
    "*",
    "/",
    "^",
    "**",
    "2",
    "1.5",
    "e",
    "I",
    ",",
    "<",
    " and ",
    "not ",
    " ",
    "where",
    "lambda",
    "²",
    "√",
    ".",
    "=",
    "[",
    "factorial",
    "9",
    "piecewise",
    "%",
    "inf",
    "{",
    "}",
    "_",
    "\\",
    "$",
    "|",
    "'",
    "!",
    "&",
    "\\frac",
    "\\sqrt",
    "\\sin",
    "\\left(",
    "\\right)",
    "\\mathrm{",
    "\\alpha",
    "\\cdot",
    "\\begin{cases}",
    "\\end{cases}",
    "\\\\",
    "\\text{if}",
    "\\binom",
    "\\int",
    "\\dot",
    "\\Delta",
    "\\hat",
    "^{",
    "_{",
    "atan2(",
    "log(",
    "0",
    "1e9",
    "mod(",
    "besselj(",
    "True",
    "None",
    "__import__",
    "()",
]
FOREIGN = st.one_of(
    st.text(max_size=80),
    st.lists(st.sampled_from(SIGNS), max_size=25).map("".join),
    st.lists(st.sampled_from(SIGNS), max_size=25).map(lambda signs: f"${''.join(signs)}$"),
    st.tuples(st.sampled_from(SIGNS), st.integers(1, 1500)).map(lambda pair: (pair[0] * pair[1])[:4000]),
)
JSON = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(max_size=8),
        st.sampled_from(
            [
                "from:a",
                "from:a.b.0",
                "from:",
                "from:a.",
                "from_previous_step",
                "from_cas",
                "cas",
                "run_dag",
                "orchestrator_run_dag",
                "define_dag",
                "tools/call",
                "cas_diff",
                "diff",
            ]
        ),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(
            st.one_of(
                st.text(max_size=4),
                st.sampled_from(
                    [
                        "tool",
                        "params",
                        "method",
                        "action",
                        "name",
                        "arguments",
                        "nodes",
                        "dag",
                        "steps",
                        "id",
                        "edges",
                        "from",
                        "to",
                        "data_key",
                        "dependencies",
                        "metadata",
                        "title",
                        "spec",
                        "visual_outputs",
                        "resources",
                        "condition",
                        "version",
                        "seed",
                        "kind",
                    ]
                ),
            ),
            inner,
            max_size=6,
        ),
    ),
    max_leaves=20,
)


@contextmanager
def soon(what: object) -> Iterator[None]:
    """Allow a second of this process's own time."""
    start = time.process_time()
    yield
    assert time.process_time() - start < 1, what


@STEADY
@given(FOREIGN)
def test_any_text_is_a_formula_or_refused(text: str) -> None:
    with soon(text):
        read_formula(text)


@STEADY
@given(FOREIGN)
def test_any_text_is_a_name_or_refused(text: str) -> None:
    with soon(text):
        read_name(text)


@STEADY
@given(JSON)
def test_any_json_is_a_payload_or_refused(payload: Any) -> None:
    with soon(payload):
        read_payload(payload)


@STEADY
@given(
    st.dictionaries(
        st.sampled_from(["tool", "params", "nodes", "edges", "dag", "name", "arguments", "method", "spec"]),
        JSON,
        max_size=5,
    )
)
def test_almost_payloads_are_read_or_refused(payload: Any) -> None:
    with soon(payload):
        read_payload(payload)


@STEADY
@given(st.text(max_size=20).map(lambda text: f"from:{text}"))
def test_references_are_read_back_as_they_are_written(text: str) -> None:
    reference = Reference.parse(text)
    assert reference is None or str(reference) == text
    assert find_references([{"a": text}]) == ([] if reference is None else [reference])


def test_no_formula_runs_code() -> None:
    """The interpreter compiles nothing but syntax trees, and calls nothing that opens, imports or starts."""
    seen: list[str] = []
    watching = True

    def watch(event: str, args: tuple[Any, ...]) -> None:
        if watching and event.split(".")[0] in ("exec", "open", "import", "os", "subprocess", "socket", "ctypes"):
            seen.append(event)

    parse("sin(x)").evaluate(x=1.0)  # what is imported once
    sys.addaudithook(watch)
    for text in ("__import__('os').system('true')", "().__class__.__bases__[0]", "open('/etc/passwd')", "eval('1')",
                 r"\operatorname{eval}(1)", r"\mathrm{__import__}(x)", r"\input{/etc/passwd}", r"\write18{true}",
                 "exec(x)", "x.__class__", "(lambda: 1)()", "[x for x in (1,)]", "f'{x}'",
                 "sin(x) if x else 1"):  # fmt: skip
        with pytest.raises(ValidationError):
            parse(text)
    parse("sin(x)^2 + 1").evaluate(x=2.0)
    watching = False
    assert seen == []
    assert ast.parse("1", mode="eval")


# Found by fuzzing: each once ended in something else than a value or one of our errors, or took too long.
FOUND_FORMULAS = ["e^(i%pi) + e^(i*phi)", r"\sin" * 500, r"\sqrt" * 500 + "x", r"x^\dot{y}"]
FOUND_NAMES = [r"\sin" * 500]
FOUND_JSON = [
    '{"nodes": [{"id": "a", "tool": "cas", "method": ["b"]}]}',
    '{"tool": "cas", "params": ' + '{"a": [' * 300 + "1" + "]}" * 300 + "}",
    '{"nodes": [{"tool": "cas", "params": ' + '{"a": [' * 300 + "1" + "]}" * 300 + "}]}",
    '{"nodes": [{"tool": "cas", "params": ' + '{"a": [' * 480 + "1" + "]}" * 480 + "}]}",
    '{"spec": ' * 490 + "1" + "}" * 490,
]


@pytest.mark.parametrize("text", FOUND_FORMULAS)
def test_formulas_that_were_found(text: str) -> None:
    with soon(text):
        read_formula(text)


@pytest.mark.parametrize("text", FOUND_NAMES)
def test_names_that_were_found(text: str) -> None:
    read_name(text)


@pytest.mark.parametrize("text", FOUND_JSON)
def test_payloads_that_were_found(text: str) -> None:
    with soon(text):
        read_json(text)
