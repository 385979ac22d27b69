"""Prefect's own results on the lab's server: plain JSON goes in and out, what would run code does neither."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prefect import flow, task
from prefect._internal.result_records import ResultRecord, ResultRecordMetadata
from prefect.events.worker import EventsWorker
from prefect.results import get_default_result_storage
from prefect.serializers import JSONSerializer, PickleSerializer, Serializer
from prefect.settings import PREFECT_LOGGING_TO_API_ENABLED, temporary_settings

from physlab.engine.results import PlainResults
from physlab.engine.server import ServerInfo, connected, ensure_server, stop_server
from physlab.errors import StoreError
from physlab.settings import load_settings
from tests.empty_base import furnish


def record(value: Any, serializer: Serializer[Any] | None = None) -> bytes:
    metadata = ResultRecordMetadata(storage_key="key", serializer=serializer or JSONSerializer())
    return ResultRecord(result=value, metadata=metadata).serialize()


def write(folder: Path, content: bytes) -> None:
    PlainResults(basepath=str(folder)).write_path("key", content, _sync=True)  # type: ignore[call-arg]


def read(folder: Path) -> bytes:
    return bytes(PlainResults(basepath=str(folder)).read_path("key", _sync=True))  # type: ignore[call-arg]


class Trap:
    """Unpickling this would make a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_plain_values_come_back(tmp_path: Path) -> None:
    write(tmp_path, record({"sha256": "ab" * 32, "parts": [1, 2.5, None, True]}))
    assert ResultRecord.deserialize(read(tmp_path)).result == {"sha256": "ab" * 32, "parts": [1, 2.5, None, True]}


def test_bare_values_of_flows_come_back(tmp_path: Path) -> None:
    write(tmp_path, b'{"run_id": "r1", "parts": [5, 6]}')
    assert json.loads(read(tmp_path)) == {"run_id": "r1", "parts": [5, 6]}


def hostile(kind: str, tmp_path: Path) -> bytes:
    if kind == "pickle":
        return record(Trap(tmp_path / "trap"), PickleSerializer())
    if kind == "decoder":
        return record({"a": 1}, JSONSerializer(object_decoder="os.system"))
    if kind == "jsonlib":
        return record({"a": 1}).replace(b'"jsonlib":"json"', b'"jsonlib":"antigravity"')
    if kind == "class":
        return record(PlainResults(basepath="x"))
    if kind == "deep class":
        return record([{"a": [{"__class__": "this.module", "data": {}}]}])
    if kind == "bare class":
        return b'[{"__class__": "this.module", "data": {}}]'
    if kind == "old record":
        return b'{"data": "gASVAgAAAAAAAABLAS4=", "serializer": {"type": "pickle"}}'
    if kind == "exception":
        return record(ValueError("x"))
    if kind == "compressed":
        return record({"a": 1}).replace(b'"type":"json"', b'"type":"compressed/pickle"')
    return b"\x80\x04N."


KINDS = [
    "pickle",
    "decoder",
    "jsonlib",
    "class",
    "deep class",
    "bare class",
    "old record",
    "exception",
    "compressed",
    "bytes",
]


@pytest.mark.parametrize("kind", KINDS)
def test_what_would_run_code_is_neither_kept_nor_read(kind: str, tmp_path: Path) -> None:
    content = hostile(kind, tmp_path)
    with pytest.raises(StoreError, match="is not plain JSON"):
        write(tmp_path, content)
    (tmp_path / "key").write_bytes(content)
    with pytest.raises(StoreError, match="is not plain JSON"):
        read(tmp_path)
    assert not (tmp_path / "trap").exists()


def test_a_second_serializer_in_the_record_does_not_slip_through(tmp_path: Path) -> None:
    good = json.loads(record({"a": 1}))
    pickled = json.loads(record(1, PickleSerializer()))["metadata"]["serializer"]
    text = json.dumps(good).replace('"metadata": {', f'"metadata": {{"serializer": {json.dumps(pickled)}, ')
    (tmp_path / "key").write_text(text)
    assert read(tmp_path).count(b'"serializer"') == 1
    (tmp_path / "key").write_text(json.dumps({**good, "serializer": pickled, "data": "gASVAgAAAAAAAABLAS4="}))  # older
    assert read(tmp_path).count(b'"serializer"') == 1 and b'"data"' not in read(tmp_path)
    assert ResultRecord.deserialize(read(tmp_path)).metadata.serializer == JSONSerializer()


@given(st.binary(max_size=300))
def test_no_bytes_surprise_it(content: bytes) -> None:
    from physlab.engine.results import _checked

    try:
        checked = _checked(content, "key")
    except StoreError:
        return
    assert repr(json.loads(checked)) == repr(json.loads(content))  # NaN is not equal to itself


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, prefect_base: Path) -> Iterator[ServerInfo]:
    base = tmp_path_factory.mktemp("lab")
    furnish(base / "home", prefect_base)
    settings = load_settings(base, {"home": base / "home"}, environ={"HOME": str(base)})
    info = ensure_server(settings)
    with connected(info), temporary_settings({PREFECT_LOGGING_TO_API_ENABLED: False}):
        yield info
    EventsWorker.drain_all()
    stop_server(settings)


@task(persist_result=True)
def five() -> int:
    return 5


@task(persist_result=True, result_serializer="pickle")
def sneaky() -> int:
    return 6


def test_the_labs_server_makes_it_the_default(server: ServerInfo) -> None:
    storage = get_default_result_storage(_sync=True)  # type: ignore[call-arg]
    assert isinstance(storage, PlainResults) and server.folder is not None
    assert Path(storage.basepath) == server.folder / "results"


def test_flows_of_others_cannot_store_a_pickle(server: ServerInfo) -> None:
    @flow
    def others() -> list[int]:
        return [five(), sneaky()]

    state = others(return_state=True)
    assert state.result() == [5, 6] and server.folder is not None
    kept = sorted(path.read_bytes() for path in (server.folder / "results").iterdir())
    assert kept[0] == b"[5, 6]" and len(kept) == 2  # the flow's and one task's
    assert ResultRecord.deserialize(kept[1]).result == 5
