"""Two labs, and a bundle that one of them made."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from physlab.bundle import Chosen, Made, Wanted, choose, write_bundle
from physlab.lab import Lab
from physlab.model import RunRecord
from physlab.signing import SecretKey
from physlab.store import Store
from physlab.versioning.labels import may_leave
from tests.unit.bundle.dying import KEY as KEY
from tests.unit.conftest import Bench, node, open_lab

OTHER = SecretKey(b"87654321", bytes(range(1, 33)))


def graph(value: float = 2.0) -> list[Any]:
    """An array, a number that depends on it, and two small files."""
    declared = {"visual_outputs": {"static": True, "series": True}}
    return [
        node("array", "array", n=500),
        node("value", "give", value=[value, "from:array.total"]),
        node("draw", "draw", ("value",), declared, write=["static", "series"]),
    ]


def run(lab: Lab, folder: Path, value: float = 2.0, **wishes: Any) -> RunRecord:
    return Bench(lab, folder).run(graph(value), **wishes).record


def wanted(record: RunRecord, **more: Any) -> Wanted:
    return Wanted(record.dag_id, record.session, **more)


def chosen(lab: Lab, record: RunRecord, **more: Any) -> Chosen:
    return choose(lab.store, wanted(record, **more), may_leave(lab.store))


def make(lab: Lab, record: RunRecord, target: Path, secret: SecretKey = KEY, **more: Any) -> Made:
    return write_bundle(
        lab.store, chosen(lab, record, **more), secret, target, made_by="ada", made_at="2027-01-15T08:00:00Z", papers={}
    )


def state(store: Store) -> dict[str, bytes]:
    """Return every byte that a lab keeps: objects, what is on its way into them, and the journal."""
    store.flush()
    files = [*store.blobs.objects.rglob("*"), *store.blobs.incoming.rglob("*"), *store.journal.folder.rglob("*")]
    return {str(path): path.read_bytes() for path in files if path.is_file()}


@pytest.fixture
def one(tmp_path: Path, toy_tools: None) -> Iterator[Lab]:
    (tmp_path / "one").mkdir()
    with open_lab(tmp_path / "one") as lab:
        yield lab


@pytest.fixture
def two(tmp_path: Path, toy_tools: None) -> Iterator[Lab]:
    (tmp_path / "two").mkdir()
    with open_lab(tmp_path / "two") as lab:
        yield lab


@pytest.fixture
def bundle(one: Lab, tmp_path: Path) -> Made:
    return make(one, run(one, tmp_path / "one"), tmp_path / "made.zip")


@pytest.fixture
def room(tmp_path: Path) -> Callable[[], Path]:
    return lambda: tmp_path / "two" / "home" / "bundles"
