"""Values in by digest, values out by digest."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from physlab.errors import ComputationError, StoreError, ValidationError
from physlab.model import Resources, Visuals, Work, is_stored_array
from physlab.store import Store, open_store
from physlab.store.blobs import Blobs
from physlab.tools.execute import INLINE_VALUES, _store_array, execute, restore, show
from physlab.tools.registry import Port, Registry
from physlab.tools.types import File, Params


class Nothing(Params):
    pass


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "store") as store:
        yield store


@pytest.fixture
def run(store: Store, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run a function as a tool, and return its stored result."""

    def run(function: Any) -> Any:
        registry = Registry()
        registry.tool("t", summary="")
        registry.method("t", params=Nothing, returns=(Port("x"), Port("y")))(function)
        monkeypatch.setattr("physlab.tools.execute.load_tools", lambda: registry)
        work = Work(key="k", label="n", tool="t", method=None, params={}, visuals=Visuals(), seed=5, device="cpu",
                    time_limit_s=10, resources=Resources(), store=str(store.root))  # fmt: skip
        return execute(work)

    return run


ARRAYS = hnp.arrays(
    st.sampled_from([np.float64, np.float32, np.int64, np.uint64, np.int8, np.bool_, np.complex128]),
    hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=9),
)


@pytest.fixture(scope="module")
def blobs(tmp_path_factory: pytest.TempPathFactory) -> Blobs:
    blobs = Blobs(tmp_path_factory.mktemp("store"))
    blobs.create()
    return blobs


@given(ARRAYS)
def test_arrays_come_back(blobs: Blobs, array: Any) -> None:
    stored = _store_array(array, blobs)
    back = np.asarray(restore(stored, blobs))
    np.testing.assert_array_equal(back.reshape(array.shape), array)
    if is_stored_array(stored):
        assert (back.shape, back.dtype) == (array.shape, array.dtype)


def test_small_arrays_stay_in_the_record_and_large_ones_do_not(store: Store) -> None:
    assert _store_array(np.arange(INLINE_VALUES), store.blobs) == [*range(INLINE_VALUES)]
    large = _store_array(np.arange(INLINE_VALUES + 1.0), store.blobs)
    assert large["$array"]["shape"] == [INLINE_VALUES + 1] and large["$array"]["dtype"] == "float64"
    back = restore(large, store.blobs)
    assert isinstance(back, np.memmap) and not back.flags.writeable
    assert is_stored_array(_store_array(np.array([1.0, np.nan]), store.blobs))
    assert is_stored_array(_store_array(np.array([2**60 + 1]), store.blobs))
    assert is_stored_array(_store_array(np.array([1j]), store.blobs))
    with pytest.raises(ComputationError, match="cannot be stored"):
        _store_array(np.array(["text"]), store.blobs)
    assert _store_array(np.arange(1000.0)[::2], store.blobs) == _store_array(np.arange(0, 1000.0, 2), store.blobs)


def test_files_and_scalars_come_out(run: Any, store: Store) -> None:
    def tool(params: Any, context: Any) -> Any:
        kept = context.save("a,b\n1,2\n", "out/t.csv", role="series", caption="A table.", field="x", show="text")
        assert context.rng.integers(1000) == np.random.default_rng(5).integers(1000)
        context.meta["samples"] = np.int64(3)
        context.warn("careful")
        return {"x": kept, "y": {"z": np.float64(1.5), "c": 1 + 2j, "n": None, "b": np.bool_(True), "t": (1, "s")}}

    result = run(tool)
    assert result.fields["y"] == {"z": 1.5, "c": {"real": 1, "imag": 2}, "n": None, "b": True, "t": [1, "s"]}
    [artifact] = result.artifacts
    assert (artifact.name, artifact.role, artifact.caption, artifact.field, artifact.media_type) == (
        "out/t.csv", "series", "A table.", "x", "text/csv",
    )  # fmt: skip
    assert artifact.uri == f"sha256:{artifact.sha256}"
    assert show(result.fields["x"], store.blobs) == "a,b\n1,2\n"
    assert result.meta["samples"] == 3 and result.meta["device"] == "cpu" and result.meta["duration_ms"] >= 0
    assert result.warnings == ("careful",)
    file = restore(result.fields["x"], store.blobs)
    assert isinstance(file, File) and file.path.read_text() == "a,b\n1,2\n"
    assert list((store.root / "scratch").iterdir()) == []


@pytest.mark.parametrize(
    ("value", "said"),
    [(float("nan"), "'x' is nan"), ([1, {"d": float("inf")}], "'x.1.d' is inf"), (complex(0, float("nan")), "x.imag"),
     (np.float64("-inf"), "-inf"), pytest.param(object(), "is a object", id="object"),
     ({1, 2}, "is a set"),
     ({"$array": 1}, "taken"), (b"bytes", "is a bytes")],
    ids=str,
)  # fmt: skip
def test_what_cannot_be_kept_is_refused(run: Any, value: Any, said: str) -> None:
    with pytest.raises(ComputationError) as raised:
        run(lambda params, context: {"x": value})
    assert said in str(raised.value)


def test_a_reply_that_breaks_its_promise_is_refused(run: Any) -> None:
    with pytest.raises(ComputationError, match="returned z, which it does not declare"):
        run(lambda params, context: {"z": 1})
    with pytest.raises(ComputationError, match="ZeroDivisionError: division by zero") as raised:
        run(lambda params, context: {"x": 1 / 0})
    assert raised.value.details == {"exception": "ZeroDivisionError"}
    with pytest.raises(ValidationError, match="said so"):
        run(lambda params, context: _raise(ValidationError("said so")))


def _raise(error: Exception) -> Any:
    raise error


def test_a_failure_keeps_its_log_and_leaves_no_scratch(run: Any, store: Store) -> None:
    def tool(params: Any, context: Any) -> Any:
        (context.workdir / "log.txt").write_text("last words")
        raise ComputationError("no", details={"log_path": str(context.workdir / "log.txt")})

    with pytest.raises(ComputationError) as raised:
        run(tool)
    assert store.blobs.read(raised.value.details["log"]) == b"last words"
    assert "log_path" not in raised.value.details
    assert list((store.root / "scratch").iterdir()) == []


def test_replies_show_large_arrays_by_reference(store: Store) -> None:
    small = _store_array(np.arange(1000.0), store.blobs)
    assert show(small, store.blobs) == np.arange(1000.0).tolist()
    large = _store_array(np.zeros((400, 400)), store.blobs)
    shown = show({"deep": [large]}, store.blobs)["deep"][0]
    assert shown == {**large["$array"], "uri": f"sha256:{large['$array']['sha256']}"}
    assert show(_store_array(np.array([1 + 2j]), store.blobs), store.blobs) == {"real": [1.0], "imag": [2.0]}


def test_files_are_shown_as_they_say(store: Store) -> None:
    sha256, size = store.blobs.put(b"\x89PNG")
    file = {"sha256": sha256, "name": "f.png", "media_type": "image/png", "size": size}
    assert show({"$file": {**file, "show": "base64"}}, store.blobs) == base64.b64encode(b"\x89PNG").decode()
    assert show({"$file": {**file, "show": "path"}}, store.blobs) == str(store.blobs.path(sha256))


def test_units_are_changed_on_the_way(store: Store) -> None:
    for value, want in ((2.0, 6.0), ([1, 2], [3.0, 6.0]), (_store_array(np.ones(999), store.blobs), [3.0] * 999)):
        back = restore({"$scaled": {"value": value, "factor": 3.0}}, store.blobs)
        np.testing.assert_array_equal(back, want)


def test_missing_bytes_are_said(store: Store) -> None:
    gone = _store_array(np.zeros(999), store.blobs)
    store.blobs.remove(gone["$array"]["sha256"])
    with pytest.raises(StoreError, match="cannot be read"):
        restore(gone, store.blobs)


def test_a_reply_is_strict_json(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        for array in (np.array([1.0, np.nan, np.inf]), np.array([1 + 2j, complex(np.nan, 3)])):
            stored = _store_array(array, store.blobs)
            assert is_stored_array(stored)
            shown = json.loads(json.dumps(show(stored, store.blobs), allow_nan=False))
            lists = [shown["real"], shown["imag"]] if isinstance(shown, dict) else [shown]
            assert lists in ([[1.0, None, None]], [[1.0, None], [2.0, 3.0]])
