"""A lab on a disk that cannot be written: it is read, and nothing in it changes."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from physlab.engine.server_folder import ServerFolder
from physlab.errors import StoreError
from physlab.store import open_store
from tests.system.commandline import CommandLine
from tests.unit.backuplab import node_record, state_of

GRAPH = "title: Answer\nnodes:\n  - {id: answer, tool: cas, method: evaluate, params: {expr: 6*7}}\n"


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Let nobody write below a folder, root neither."""
    if os.getuid():
        modes = {path: path.stat().st_mode for path in (folder, *folder.rglob("*"))}
        for path, mode in modes.items():
            path.chmod(mode & 0o555)
        try:
            yield
        finally:
            for path, mode in modes.items():
                path.chmod(mode)
        return
    for words in (["--bind", str(folder), str(folder)], ["-o", "remount,ro,bind", str(folder)]):
        if subprocess.run(["mount", *words], capture_output=True, check=False).returncode:
            subprocess.run(["umount", "-l", str(folder)], capture_output=True, check=False)
            pytest.skip("a folder cannot be mounted for reading only")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.parametrize("index", ["there", "behind", "gone"])
def test_a_store_that_cannot_be_written_is_read(tmp_path: Path, index: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    root = tmp_path / "home" / "store"
    with open_store(root) as store:
        digest, _ = store.blobs.put(b"bytes")
        store.append("node", node_record(digest, 0))
    if index == "behind":
        with open_store(root) as store:
            store.journal.append([("note", {"kind": "note"})])
    if index == "gone":
        (root / "index.sqlite").unlink()
    before = state_of(root)
    with read_only(tmp_path / "home"):
        with open_store(root) as store:
            assert list(store.verify()) == [] and set(store.hits_by_key([digest])) == {digest}
            assert len(store.records_of("note")) == (index == "behind")
            with pytest.raises(StoreError, match="cannot be written"):
                store.append("note", {"kind": "note"})
        assert state_of(root) == before and list((tmp_path / "tmp").iterdir()) == []


def test_commands_in_an_archived_lab_answer_or_say_why_not(tmp_path: Path) -> None:
    (tmp_path / "answer.yaml").write_text(GRAPH)
    (tmp_path / "tmp").mkdir()
    lab = CommandLine(tmp_path, {"PHYSLAB_SERVER__MODE": "none", "TMPDIR": str(tmp_path / "tmp")})
    lab.run("run", "answer.yaml")
    server = ServerFolder(lab.home / "server")
    server.make()
    (lab.home / "server" / "run.lock").touch()
    with read_only(lab.home):
        assert not server.is_served() and not server.is_being_started()
        assert lab.json("runs", "--json")["runs"][0]["title"] == "Answer"
        assert lab.json("why", "latest", "answer", "--json")["node"] == "answer"
        assert lab.json("store", "verify", "--json")["ok"]
        for mode in ("none", "lab"):
            asked = CommandLine(tmp_path, {**lab.variables, "PHYSLAB_SERVER__MODE": mode})
            error = asked.json("run", "answer.yaml", "--json", code=1)["error"]
            assert "writ" in error["message"] and "fault" not in error["message"] and error["hint"]
    assert list((tmp_path / "tmp").iterdir()) == []


def test_a_fault_is_told_where_nothing_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from physlab.cli import boundary

    (tmp_path / "home").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nowhere"))
    monkeypatch.setenv("PHYSLAB_HOME", str(tmp_path / "home"))
    with read_only(tmp_path / "home"):
        assert boundary._fault(ZeroDivisionError("by zero"), ["run"]) == 1
    said = "".join(capsys.readouterr())
    assert "ZeroDivisionError" in said and "no file about it could be written" in " ".join(said.split())
    assert list((tmp_path / "home").iterdir()) == []
