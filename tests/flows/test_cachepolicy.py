"""ContentKey: equal work hits, different work misses, what cannot be hashed fails."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from datetime import date
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from prefect import flow, task
from prefect.cache_policies import RUN_ID

from physlab.engine.cachepolicy import ContentKey, content_of
from physlab.errors import ValidationError
from tests.flows.conftest import PrefectServer

calls: list[Any] = []


class Colour(Enum):
    RED = 1


@dataclass
class Box:
    width: float


@task(cache_policy=ContentKey() - "note", persist_result=True, result_serializer="json")
def measure(value: Any, note: str = "") -> int:
    calls.append(value)
    return len(calls)


@task(cache_policy=ContentKey(), persist_result=True, result_serializer="json")
def weigh(value: Any) -> int:
    calls.append(value)
    return len(calls)


@pytest.fixture(autouse=True)
def _no_calls() -> None:
    calls.clear()


def run(*values: Any, task: Any = measure, **more: Any) -> list[int]:
    @flow
    def one() -> list[int]:
        return [task(value, **more) for value in values]

    return one()


def test_equal_content_hits_across_runs_and_other_content_misses(prefect_server: PrefectServer) -> None:
    first = run({"b": np.arange(3.0), "a": {3, 1, 2}})
    assert run({"a": {2, 3, 1}, "b": np.arange(3.0)}) == first
    assert run({"a": {2, 3, 1}, "b": np.arange(3)}) == [2]  # integers are other content than floats


def test_other_code_misses(prefect_server: PrefectServer) -> None:
    assert run("code") == [1]
    assert run("code", task=weigh) == [2]


def test_an_input_left_out_does_not_count(prefect_server: PrefectServer) -> None:
    assert run("note", note="one") == run("note", note="two")


def test_a_path_counts_by_its_content(prefect_server: PrefectServer, tmp_path: Path) -> None:
    file, copy = tmp_path / "a.csv", tmp_path / "b.csv"
    file.write_text("1,2")
    copy.write_text("1,2")
    assert run(file, copy, tmp_path) == [1, 1, 2]
    file.write_text("1,3")
    assert run(file, tmp_path) == [3, 4]


def test_an_input_without_content_fails_the_task(prefect_server: PrefectServer) -> None:
    with pytest.raises(ValidationError, match=r"Input 'value' is a builtins\.object") as caught:
        run(object())
    assert "ContentKey() - 'value'" in caught.value.hint
    assert not calls


def test_added_to_another_policy_it_still_gives_keys(prefect_server: PrefectServer) -> None:
    both = measure.with_options(cache_policy=ContentKey() + RUN_ID)

    @flow
    def twice() -> list[int]:
        return [both("sum"), both("sum")]

    assert twice() == [1, 1]
    assert twice() == [2, 2]


DIFFERENT: list[Any] = [
    None, True, 1, 1.0, "1", b"1", -0.0, 0.0, float("nan"), 1j, 2**80, [1], (1,), {1}, {1: 1}, {"1": 1},
    np.float32(1), np.array([1]), np.array([[1]]), np.array([1], ">i8"), np.array([(1, 2.0)], "i4,f8"),
    Colour.RED, Box(1.0), date(2026, 1, 2),
]  # fmt: skip


def test_different_values_have_different_content() -> None:
    assert len({str(content_of(value)) for value in DIFFERENT}) == len(DIFFERENT)


def test_memory_order_does_not_count() -> None:
    array = np.arange(6.0).reshape(2, 3)
    assert content_of(np.asfortranarray(array)) == content_of(array) == content_of(array[::-1][::-1])


def test_content_is_the_same_in_every_process() -> None:
    program = "from physlab.engine.cachepolicy import content_of; print(content_of({'x': {'a', 'b', 'c'}, 'y': 2.5}))"
    said = {
        subprocess.run(
            [sys.executable, "-c", program], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert said == {str(content_of({"y": 2.5, "x": {"c", "b", "a"}})) + "\n"}


def cycle() -> list[Any]:
    items: list[Any] = []
    items.append(items)
    return items


@pytest.mark.parametrize("value", [lambda: 1, np.array([object()]), Path("/nowhere/at/all"), cycle(), int])
def test_what_cannot_be_compared_is_refused(value: Any) -> None:
    with pytest.raises(ValidationError, match="Input 'input"):
        content_of(value)
