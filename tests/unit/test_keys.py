"""Canonical JSON and the identities made of it."""

from __future__ import annotations

import io
import json
import math
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import rfc8785
from hypothesis import example, given
from hypothesis import strategies as st

from physlab import keys
from physlab.errors import ValidationError

_NUMBERS = st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False)
_TEXTS = st.text(st.characters(exclude_categories=("Cs",)))
VALUES = st.recursive(
    st.none() | st.booleans() | _NUMBERS | _TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXTS, inner, max_size=4),
    max_leaves=20,
)


@given(VALUES)
@example(-0.0)
@example([1e21, 1e-7, 1e20, 123456789012345680000.0, 5e-324, 1.7976931348623157e308, 0.1, 100.0, 1e16, 1e-5])
@example({"é": 1, "e": 2, "\U0001f600": 3, "\ufb33": 4, "\r": "\u2028\x7f\x1f"})  # UTF-16 order of keys
def test_canonical_is_rfc8785(value: Any) -> None:
    assert keys.canonical(value) == rfc8785.dumps(value)


@given(VALUES)
def test_what_is_read_back_has_the_same_bytes(value: Any) -> None:
    written = keys.canonical(value)
    assert keys.canonical(json.loads(written)) == written


@given(st.dictionaries(_TEXTS, VALUES, max_size=5))
def test_the_order_of_a_mapping_does_not_count(value: dict[str, Any]) -> None:
    assert keys.digest(dict(reversed(value.items()))) == keys.digest(value)


def test_whole_numbers_are_one_whatever_their_type() -> None:
    assert keys.canonical([1, 1.0, -0.0, np.float64(2.5)]) == b"[1,1,0,2.5]"
    assert keys.canonical((1, (2, 3))) == b"[1,[2,3]]"


@pytest.mark.parametrize(
    "value",
    [math.nan, math.inf, -math.inf, [1, {"x": math.nan}], {1, 2}, b"bytes", object(), {1: 2}, "\ud800", 2**53 + 1,
     10**400, 10**5000, np.zeros(2), 1j],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_what_json_cannot_hold_is_refused(value: Any) -> None:
    with pytest.raises(ValidationError, match="canonical JSON") as raised:
        keys.canonical(value)
    assert "finite" in raised.value.hint


def test_the_place_of_what_is_refused_is_named() -> None:
    with pytest.raises(ValidationError, match=r"^vars\.g\.1 cannot be written .*nan is not finite"):
        keys.canonical({"expr": "g", "vars": {"g": [1.0, math.nan]}})


def test_what_never_ends_is_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(ValidationError):
        keys.canonical(endless)


def test_large_whole_floats_may_come_back_as_integers() -> None:
    assert keys.canonical(json.loads("1e20")) == keys.canonical(10**20) == b"100000000000000000000"


_PROGRAM = """
from physlab import keys
params = {"set": sorted({"b", "a"}), "x": [0.1, -0.0, 1e21], "nested": {"é": None, "a": True}}
frame = keys.node_frame(tool="t", method=None, visuals=["static"], code="c", device="cpu")
print(keys.node_key(keys.node_base(frame, 3, keys.canonical(params)), ["a" * 64]), keys.dag_id({"nodes": [params]}))
"""


def test_keys_are_the_same_in_every_process() -> None:
    seen = set()
    for seed in ("0", "1", "random"):
        env = {**os.environ, "PYTHONHASHSEED": seed}
        seen.add(subprocess.run([sys.executable, "-c", _PROGRAM], env=env, capture_output=True, check=True).stdout)
    assert len(seen) == 1


def test_each_ingredient_changes_the_key() -> None:
    plain: dict[str, Any] = {"tool": "t", "method": "m", "visuals": (), "code": "c", "device": "cpu"}
    changed = [{"tool": "u"}, {"method": None}, {"visuals": ("static",)}, {"code": "d"}, {"device": "cuda"},
               {"dtype": "float32"}]  # fmt: skip
    frames = {keys.node_frame(**plain), *(keys.node_frame(**{**plain, **change}) for change in changed)}
    frame = keys.node_frame(**plain)
    bases = {keys.node_base(frame, 0, b"{}"), keys.node_base(frame, 1, b"{}"), keys.node_base(frame, 0, b"1")}
    base = keys.node_base(frame, 0, keys.canonical({"x": {"$in": 0}, "y": {"$in": 1}}))
    made = {keys.node_key(base, inputs) for inputs in ((), ("a", "b"), ("b", "a"), ("ab",), ("a",))}
    assert (len(frames), len(bases), len(made)) == (7, 3, 5)
    assert keys.node_key(base, ()) == base


def test_bytes_and_streams_have_the_same_digest() -> None:
    data = os.urandom(keys.CHUNK + 17)
    state = keys.hasher()
    state.update(data)
    assert keys.digest_stream(io.BytesIO(data)) == (keys.digest_bytes(data), len(data))
    assert state.hexdigest() == keys.digest_bytes(data)
    # FIPS 180-2, appendix B.1
    assert keys.digest_bytes(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def beginning(one: str, other: str) -> bool:
    """Compare as nobody should: from the front, until something differs."""
    return len(one) == len(other) and all(left == right for left, right in zip(one, other, strict=True))


def welch(compare: Callable[[str, str], bool], samples: int) -> float:
    """Return Welch's t of how long it takes when the first letter is wrong, and when the last one is."""
    secret = "0123456789abcdef" * 4
    times: dict[str, list[int]] = {"x" + secret[1:]: [], secret[:-1] + "x": []}
    chosen = random.Random(33)
    for _ in range(samples):
        for shown in chosen.sample(list(times), 2):
            begun = time.perf_counter_ns()
            for _ in range(20):
                compare(shown, secret)
            times[shown].append(time.perf_counter_ns() - begun)
    first, last = (sorted(taken)[: samples * 4 // 5] for taken in times.values())  # what disturbs only adds
    spread = (statistics.variance(first) / len(first) + statistics.variance(last) / len(last)) ** 0.5
    return abs(statistics.fmean(first) - statistics.fmean(last)) / spread


def test_s33_comparing_secrets_does_not_tell_where_they_differ() -> None:
    """10,000 samples; the eye of the test is open: another comparison is found out with far fewer."""
    assert welch(beginning, 500) > 50
    assert min(welch(keys.same, 10_000) for _ in range(3)) < 6, "one in 10⁸, three times"
    assert keys.same("a", "a") and not keys.same("a", "b") and not keys.same("a", "")
