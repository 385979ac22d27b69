"""Records that travel: into a journal that stays one chain, once, and never more than may leave."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest

from physlab.errors import ConfigurationError, StoreError, ValidationError
from physlab.keys import canonical, digest, digest_bytes
from physlab.lineage import lineage
from physlab.transfer import pull, push, push_files
from physlab.transfer.records import PAST, read_line, their_records
from physlab.versioning.register import Wish, register
from physlab.versioning.tags import tag
from tests.unit.conftest import Bench, node
from tests.unit.transfer.conftest import Labs, content, graph, remote, tree


def plant(labs: Labs, line: bytes) -> None:
    """Write a part with one line into the store, under its right name."""
    digits = digest_bytes(line)
    path = labs.folder / "nas" / "journal" / digits[:2] / f"{digits[2:]}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(line)


def line(kind: str, record: dict[str, Any], **changes: Any) -> bytes:
    return canonical({"digest": digest(record), "kind": kind, "record": record, **changes}) + b"\n"


def make_store(labs: Labs) -> None:
    with labs.open() as one, remote(one) as there:
        there.prepare()


def test_two_labs_that_exchange_everything_agree_and_stop(folder_labs: Labs) -> None:
    with folder_labs.open("one") as one, folder_labs.open("two") as two:
        folder_labs.run(one, "one", numbers=1000)
        folder_labs.run(two, "two", numbers=1100)
        for _ in range(3):
            for lab in (one, two):
                with remote(lab) as there:
                    push(lab.store, there)
                    pull(lab.store, there)
        sizes = [len(list(lab.store.journal.replay())) for lab in (one, two)]
        for lab in (one, two):
            with remote(lab) as there:
                assert push(lab.store, there).records == 0 == pull(lab.store, there).records
            assert len(lab.runs()) == 2 and list(lab.store.verify()) == []
        assert [len(list(lab.store.journal.replay())) for lab in (one, two)] == sizes
        assert set(one.store.blobs.all()) == set(two.store.blobs.all())


def test_one_run_brings_what_it_came_from_and_no_more(folder_labs: Labs) -> None:
    with folder_labs.open() as one:
        first = folder_labs.run(one, numbers=1000)
        second = Bench(one, folder_labs.folder).run([node("alone", "give", value="private")]).record
        again = folder_labs.run(one, numbers=1000)  # all cached: its records are those of the first run
        told = lineage(one, again, "draw")
        with remote(one) as there:
            push(one.store, there, again.run_id)
    assert b"private" not in b"".join(tree(folder_labs.folder / "nas").values())
    with folder_labs.open("two") as two:
        with remote(two) as there:
            pull(two.store, there)
        assert {row["run_id"] for row in two.runs()} == {again.run_id}
        assert lineage(two, two.find_run(again.run_id), "draw") == told
        assert first.run_id in told["why"] and second.run_id not in told["why"]


def test_names_that_nothing_has_are_told(folder_labs: Labs) -> None:
    with folder_labs.open() as one:
        record = folder_labs.run(one, numbers=1000)
        with remote(one) as there:
            with pytest.raises(ValidationError, match="no finished run, version or file 'nothing'") as raised:
                push(one.store, there, "nothing")
            assert record.run_id in raised.value.hint
            push(one.store, there, "latest")
            with pytest.raises(ValidationError, match="no finished run"):
                pull(one.store, there, "nothing")
            assert pull(one.store, there, record.run_id[:12]).records == 0


def test_a_file_brings_the_records_that_name_it(folder_labs: Labs) -> None:
    with folder_labs.open() as one:
        folder_labs.run(one, numbers=1000)
        wanted = digest_bytes(b"static of a toy")
        with remote(one) as there:
            pushed = push(one.store, there, f"sha256:{wanted}")
            assert {record.kind for record in their_records(there).values()} == {"node"}
        assert pushed.files >= 1


@pytest.mark.parametrize("name", ["survey.csv", "paper"])
def test_a_version_is_found_by_its_name(folder_labs: Labs, name: str) -> None:
    with folder_labs.open() as one:
        other, _ = one.store.blobs.put(b"of nothing")
        (folder_labs.folder / "survey.csv").write_bytes(b"of a version")
        [made] = register(one.store, Wish(["survey.csv"]), folder_labs.folder)
        tag(one.store, "paper", made.record, "me")
        blob = made.version.content.sha256
        with remote(one) as there:
            assert push(one.store, there, name).files == 1
            assert there.has([blob, other]) == {blob}
    with folder_labs.open("two") as two, remote(two) as there:
        assert pull(two.store, there, name).files == 1
        kinds = {"survey.csv": ["version", "received"], "paper": ["version", "tag", "received"]}
        assert [item.kind for item in two.store.journal.replay()] == kinds[name]


def test_records_of_unknown_kinds_travel_with_the_files_that_they_name(folder_labs: Labs) -> None:
    with folder_labs.open() as one:
        blob, _ = one.store.blobs.put(b"of a note")
        one.store.append("note", {"kind": "note", "files": {"a.txt": f"sha256:{blob}"}})
        with remote(one) as there:
            push(one.store, there)
    with folder_labs.open("two") as two, remote(two) as there:
        assert pull(two.store, there).files == 1
        assert [item.kind for item in two.store.journal.replay()] == ["note", "received"]


def test_what_speaks_of_one_machine_stays_there(folder_labs: Labs) -> None:
    with folder_labs.open() as one:
        folder_labs.run(one, numbers=1000)
        one.store.append("job", {"kind": "job", "folder": "/scratch/secret"})
        one.store.append("scrub", {"kind": "scrub"})
        with remote(one) as there:
            push(one.store, there)
            kinds = {record.kind for record in their_records(there).values()}
    assert kinds == {"dag", "node", "run"}
    assert b"/scratch/secret" not in b"".join(tree(folder_labs.folder / "nas").values())


def test_a_forgotten_result_is_known_elsewhere_and_not_used(folder_labs: Labs) -> None:
    with folder_labs.open() as one:
        record = folder_labs.run(one, numbers=1000)
        [small] = [item for item in record.nodes if item.id == "small"]
        one.store.append("retract", {"kind": "retract", "key": small.key})
        with remote(one) as there:
            push(one.store, there)
    with folder_labs.open("two") as two:
        with remote(two) as there:
            pull(two.store, there)
        states = Bench(two, folder_labs.folder / "two").states(graph(numbers=1000))
        assert states == {"array": "hit", "small": "miss", "value": "hit", "draw": "hit"}
        assert lineage(two, two.find_run(record.run_id), "small")["made"] is not None
        assert PAST in {item.kind for item in two.store.journal.replay()}
        two.store.reindex()
        assert Bench(two, folder_labs.folder / "two").states(graph(numbers=1000)) == states


def test_a_lab_keeps_its_own_folder_of_a_graph(folder_labs: Labs) -> None:
    with folder_labs.open() as one:
        folder_labs.run(one, numbers=1000)
        with remote(one) as there:
            push(one.store, there)
    with folder_labs.open("two") as two:
        folder_labs.run(two, "two", numbers=1000)
        before = two.find_dag(two.dags()[0]["dag_id"]).base_dir
        with remote(two) as there:
            pull(two.store, there)
        assert two.find_dag(two.dags()[0]["dag_id"]).base_dir == before == folder_labs.folder / "two"


# --- what may not leave --------------------------------------------------------------------------------------------


def test_what_may_not_leave_is_refused_with_its_reason_and_nothing_is_sent(folder_labs: Labs) -> None:
    held = digest_bytes(b"static of a toy")

    def may_leave(found: str) -> str | None:
        return "held until 2030-01-01" if found == held else None

    with folder_labs.open() as one:
        record = folder_labs.run(one, numbers=1000)
        with remote(one) as there:
            for name in (None, record.run_id):
                with pytest.raises(StoreError, match="held until 2030-01-01") as raised:
                    push(one.store, there, name, may_leave=may_leave)
                assert held[:12] in str(raised.value) and "--without-held" in raised.value.hint
            with pytest.raises(StoreError, match="held until 2030-01-01"):
                push_files(one.store, there, [f"sha256:{held}"], may_leave=may_leave)
            assert not (folder_labs.folder / "nas").exists()
            pushed = push(one.store, there, may_leave=may_leave, without_held=True)
            assert pushed.held == {held: "held until 2030-01-01"}
            sent = their_records(there)
    assert not [name for name in tree(folder_labs.folder / "nas") if held[2:] in name]
    assert held.encode() not in b"".join(tree(folder_labs.folder / "nas").values())
    assert {item.record["node_id"] for item in sent.values() if item.kind == "node"} == {"array", "small", "value"}


# --- what comes from elsewhere -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (line("retract", {"kind": "retract", "key": "a" * 64}), "do not travel"),
        (line("job", {"kind": "job"}), "do not travel"),
        (line("Note!", {}), "do not travel"),
        (line("note", {"a": 1}, digest="0" * 64), "was changed"),
        (line("note", {"a": 1}, more=1), "not a record"),
        (b"{}\n", "cannot be taken"),
        (b"\x80\x04.\n", "cannot be taken"),
        (b"[" * 100_000 + b"\n", "cannot be taken"),
        (line("node", {"kind": "node", "key": "a"}), "cannot be taken"),
        (line("run", {"kind": "run", "run_id": "x"}), "cannot be taken"),
        (line("version", {"kind": "version", "artifact": "a"}), "cannot be taken"),
        (line("tag", {"kind": "tag", "name": "../up", "version": None}), "cannot be taken"),
        (line("label", {"kind": "label", "label": "hold", "digests": ["a"], "until": None}), "cannot be taken"),
        (line("dag", {"kind": "dag", "dag_id": "../x", "dag": {"nodes": []}, "base_dir": "/"}), "cannot be taken"),
    ],
)
def test_s18_a_strange_record_is_refused_and_the_lab_is_as_before(folder_labs: Labs, bad: bytes, why: str) -> None:
    make_store(folder_labs)
    plant(folder_labs, line("note", {"good": True}) + bad)
    with folder_labs.open("two") as two:
        folder_labs.run(two, "two", numbers=1000)
        before = content(two.store)
        with remote(two) as there, pytest.raises(StoreError, match=why) as raised:
            pull(two.store, there)
        assert "line 2" in str(raised.value)
        assert content(two.store) == before


BAD_NAMES = (
    "../up.png",
    "/etc/cron.d/x",
    "a/../../b",
    "a//b",
    "..",
    "",
    ".",
    "C:\\x",
    "C:x",
    "a\\b",
    "a\x00b",
    "a\nb",
    "./a",
)


@pytest.mark.parametrize("bad", BAD_NAMES)
def test_s17_names_in_records_never_lead_out_of_a_folder(folder_labs: Labs, bad: str) -> None:
    """Records that are right in everything but one name, which would become a path here."""
    with folder_labs.open() as one:
        folder_labs.run(one, numbers=1000)
        lines = list(one.store.journal.replay())
    [made] = [item.record for item in lines if item.kind == "node" and item.record.get("artifacts")][:1]
    [run] = [item.record for item in lines if item.kind == "run"]
    file = {"$file": {**made["artifacts"][0], "name": bad, "show": "path"}}
    hostile: list[tuple[str, dict[str, Any]]] = [
        ("node", {**made, "artifacts": [{**made["artifacts"][0], "name": bad}]}),
        ("past_node", {**made, "fields": {**made["fields"], "deep": [{"file": file}]}}),
        ("node", {**made, "node_id": bad}),
        ("node", {**made, "run_id": bad}),
        ("run", {**run, "run_id": bad}),
        ("run", {**run, "nodes": [{**run["nodes"][0], "id": bad}]}),
    ]
    for kind, record in hostile:
        with pytest.raises(StoreError, match=r"cannot be called"):
            read_line(line(kind, record).rstrip(), "it")
    read_line(line("node", made).rstrip(), "it")
    read_line(line("run", run).rstrip(), "it")


class Canary:
    """Leaves a mark when somebody unpickles it."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return Path.touch, (self.mark,)


def test_s19_nothing_from_a_store_is_unpickled(folder_labs: Labs, tmp_path: Path) -> None:
    """A pickle in every file of a store, in its place or under a right name, never runs."""
    bomb = pickle.dumps(Canary(tmp_path / "fired"))
    with folder_labs.open() as one:
        folder_labs.run(one)
        with remote(one) as there:
            push(one.store, there)
    for number, name in enumerate(tree(folder_labs.folder / "nas")):
        path = folder_labs.folder / "nas" / name
        good = path.read_bytes()
        path.write_bytes(bomb)
        errors = (StoreError, ConfigurationError)
        with folder_labs.open(f"lab{number}") as lab, remote(lab) as there, pytest.raises(errors):
            pull(lab.store, there)
        path.write_bytes(good)
    plant(folder_labs, bomb + b"\n")
    with folder_labs.open("two") as two, remote(two) as there, pytest.raises(StoreError):
        pull(two.store, there)
    assert not (tmp_path / "fired").exists()
    pickle.loads(bomb)  # noqa: S301 - the canary can fire
    assert (tmp_path / "fired").exists()
