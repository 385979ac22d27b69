"""What the index must do, for SQLite and for PostgreSQL."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from physlab.store import Entry, Store, open_store, schema
from tests.unit.postgres import find_server, run_server


def node_record(
    key: str, *, node_id: str = "n", run_id: str = "r", recipe: str | None = None, blobs: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Return what the index reads of a node record."""
    return {
        "kind": "node", "key": key, "recipe": recipe or key, "tool": "toy", "method": None, "node_id": node_id,
        "run_id": run_id, "device": "cpu", "field_digests": {"x": key}, "started_at": "now", "duration_ms": 1.5,
        "fields": {f"f{i}": {"$file": {"sha256": blob}} for i, blob in enumerate(blobs)},
    }  # fmt: skip


def run_record(run_id: str, status: str = "completed", *, cached: int = 0) -> dict[str, Any]:
    nodes = [{"status": "cached"}] * cached + [{"status": "completed"}]
    return {"run_id": run_id, "dag_id": "d", "title": "T", "status": status, "started_at": "now", "duration_ms": 2.0,
            "nodes": nodes}  # fmt: skip


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    programs = find_server()
    if programs is None:
        pytest.skip("PostgreSQL's server is not installed (apt-get install postgresql)")
    pytest.importorskip("psycopg")
    with run_server(programs) as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> Iterator[str | None]:
    if request.param == "sqlite":
        yield None
        return
    url = request.getfixturevalue("postgres")
    yield url
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.execute(sa.text("DROP SCHEMA public CASCADE"))
        connection.execute(sa.text("CREATE SCHEMA public"))
    engine.dispose()


@pytest.fixture
def store(tmp_path: Path, url: str | None) -> Iterator[Store]:
    with open_store(tmp_path / "store", url) as store:
        yield store


def answers(store: Store) -> dict[str, list[dict[str, Any]]]:
    tables = (schema.records, schema.nodes, schema.runs, schema.dags)
    return {table.name: sorted(store.index.rows(table.select()), key=lambda row: row["seq"]) for table in tables}


def test_the_latest_result_of_a_key_is_found(store: Store) -> None:
    store.append("node", node_record("k1", run_id="r1"))
    latest = store.append("node", node_record("k1", run_id="r2"))
    store.append("node", node_record("k2", recipe="other"))
    store.flush()
    found = store.hits_by_key(["k1", "k2", "k3"])
    assert found.keys() == {"k1", "k2"}
    assert found["k1"] == Entry(
        "k1", "k1", latest, "toy", None, "n", "r2", "cpu", {"x": "k1"}, [], [], "now", 1.5,
    )  # fmt: skip
    assert store.hits_by_recipe(["other", "k2"]).keys() == {"other"}
    assert store.hits_by_key([]) == {}
    assert [entry.key for entry in store.index.entries(limit=2)] == ["k2", "k1"]
    assert [entry.run_id for entry in store.index.entries(schema.nodes.c.key == "k1")] == ["r2", "r1"]


def test_many_keys_are_asked_in_parts(store: Store) -> None:
    for number in range(0, 1200, 100):
        store.append("node", node_record(f"k{number}"))
    store.flush()
    assert len(store.hits_by_key([f"k{number}" for number in range(1200)])) == 12


def test_a_result_whose_bytes_are_gone_is_no_hit(store: Store) -> None:
    blob, _ = store.blobs.put(b"bytes")
    store.append("node", node_record("k", blobs=(blob,)))
    store.flush()
    assert store.hits_by_key(["k"])["k"].blobs == [blob]
    store.blobs.remove(blob)
    assert store.hits_by_key(["k"]) == {}


def test_a_retracted_result_is_forgotten_until_it_is_made_again(store: Store) -> None:
    store.append("node", node_record("k"))
    store.append("retract", {"key": "k"})
    store.append("node", node_record("other"))
    store.flush()
    assert store.hits_by_key(["k", "other"]).keys() == {"other"}
    store.append("node", node_record("k", run_id="r2"))
    store.flush()
    assert store.hits_by_key(["k"])["k"].run_id == "r2"


def test_a_run_is_running_until_its_record_comes(store: Store) -> None:
    begun = {key: value for key, value in run_record("r").items() if key not in ("status", "nodes", "duration_ms")}
    store.append("run_begin", begun)
    store.flush()
    assert store.index.rows(schema.runs.select())[0]["status"] == "running"
    store.append("run", run_record("r", cached=2))
    store.flush()
    [row] = store.index.rows(schema.runs.select())
    assert (row["status"], row["total"], row["cached"]) == ("completed", 3, 2)


def test_the_index_rebuilt_gives_the_same_answers(store: Store) -> None:
    for number in range(30):
        store.append("node", node_record(f"k{number % 7}", run_id=f"r{number}"))
        if number % 9 == 5:
            store.append("retract", {"key": f"k{number % 7}", "n": number})
    store.append("run_begin", {key: value for key, value in run_record("r").items() if key != "status"})
    store.append("run", run_record("r"))
    store.append("dag", {"dag_id": "d", "dag": {"title": "Tité ☃"}})
    store.flush()
    before = answers(store)
    assert store.reindex() == len(before["records"]) == 36
    assert answers(store) == before
    assert list(store.verify()) == []


def test_two_stores_follow_each_other(store: Store, url: str | None) -> None:
    with open_store(store.root, url) as other:
        for number in range(10):
            (store if number % 2 else other).append("node", node_record(f"k{number}"))
        for each in (store, other):
            each.refresh()
            assert len(each.hits_by_key([f"k{number}" for number in range(10)])) == 10
        assert list(other.verify()) == []


def test_stores_that_write_at_once_lose_nothing(store: Store, url: str | None) -> None:
    failures: list[BaseException] = []

    def work(name: int) -> None:
        try:
            with open_store(store.root, url) as own:
                for number in range(15):
                    own.append("node", node_record(f"k{name}-{number}"))
                    own.append("retract", {"key": f"k{name}-{number}", "n": number})
                    own.append("node", node_record(f"k{name}-{number}", run_id="again"))
                    own.refresh()
                    assert own.hits_by_key([f"k{name}-{number}"])
        except BaseException as error:  # noqa: BLE001 - told below
            failures.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    store.refresh()
    before = answers(store)
    assert (len(before["nodes"]), len(before["records"])) == (60, 180)
    store.reindex()
    assert answers(store) == before


def test_memos_are_replaced(store: Store) -> None:
    store.index.remember([("/a", 1, 2, 3, "x"), ("/b", 2**40, 2**60, 2**40, "y")])
    store.index.remember([("/a", 5, 6, 7, "z")])
    store.index.remember([])
    assert store.index.memos(["/a", "/b", "/c"]) == {"/a": (5, 6, 7, "z"), "/b": (2**40, 2**60, 2**40, "y")}


def test_opening_again_changes_nothing(store: Store, url: str | None) -> None:
    store.append("node", node_record("k"))
    store.flush()
    before = answers(store)
    with open_store(store.root, url) as again:
        assert answers(again) == before
