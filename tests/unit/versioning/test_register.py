"""Registering: bytes, parents, parameters and code; all of it or nothing."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from physlab.errors import StoreError, ValidationError
from physlab.keys import digest_bytes, lineage_id
from physlab.store import open_store
from physlab.store.blobs import Blobs
from physlab.store.intake import GROUP_FILES
from physlab.versioning.contents import files_of, keep
from physlab.versioning.history import log
from tests.unit.versioning.conftest import Room


def git(folder: Path, *words: str) -> str:
    author = ["-c", "user.name=A", "-c", "user.email=a@b.example"]
    done = subprocess.run(["git", *author, *words], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_bytes_parents_parameters_and_code_make_the_lineage(room: Room) -> None:
    raw, figure = room.write("raw.csv", "x\n1\n"), room.write("figure.png", b"figure")
    [first] = room.add("figure.png", parents=["raw.csv"], params={"mass": 1.0}, code_version="abc123")
    sha256 = digest_bytes(b"figure")
    assert first.version.content.sha256 == sha256 and first.version.artifact == str(figure)
    assert room.store.blobs.read(sha256) == b"figure" and not first.known
    expected = lineage_id(sha256, [digest_bytes(raw.read_bytes())], {"mass": 1.0}, "abc123")
    assert first.version.lineage_id == expected
    [again] = room.add("figure.png", parents=["raw.csv"], params={"mass": 1.0}, code_version="abc123")
    assert again.known and again.record == first.record
    for change in ({"params": {"mass": 2.0}}, {"code_version": "abc124"}, {"parents": []}):
        wish = {"parents": ["raw.csv"], "params": {"mass": 1.0}, "code_version": "abc123"} | change
        [other] = room.add("figure.png", **wish)
        assert not other.known and other.version.lineage_id != expected
    figure.write_bytes(b"figurE")
    [other] = room.add("figure.png", parents=["raw.csv"], params={"mass": 1.0}, code_version="abc123")
    assert not other.known and room.version("figure.png").number == 5


def test_the_same_lineage_elsewhere_is_the_same(room: Room, tmp_path: Path) -> None:
    for name in ("a", "b"):
        room.write(name, name)
    [here] = room.add("a", "b", parents=["b", "a"], params={"k": [1, 2]}, code_version="1")[:1]
    with open_store(tmp_path / "other") as store:
        other = Room(store, tmp_path / "elsewhere")
        for name in ("a", "b"):
            other.write(name, name)
        [there] = other.add("a", parents=["a", "b"], params={"k": [1, 2]}, code_version="1")
    assert here.version.lineage_id == there.version.lineage_id, "neither order, folder, clock nor store matter"


def test_the_same_bytes_under_another_name_were_there_before(room: Room) -> None:
    room.write("a", "same")
    room.write("b", "same")
    assert [item.known for item in room.add("a", code_version="1")] == [False]
    [other] = room.add("b", code_version="1")
    assert other.known and room.version("b").number == 1, "the name is new, the lineage is not"


@pytest.mark.parametrize(
    ("artifacts", "parents", "said"),
    [
        (["a", "lost.csv"], [], "There is no '.*lost.csv'"),
        (["a"], ["lost.csv"], "parent 'lost.csv' is not there"),
        (["a"], ["sha256:" + "0" * 64], "parent sha256:0000000000000000… is not known"),
        (["a"], ["b", "sha256:123"], "'123' is not a SHA-256"),
        (["a", "pipe"], [], "pipe' is neither a file nor a folder"),
        (["a", "folder"], [], "folder/up' is neither a file nor a folder of its own"),
        (["a", "gopher://old.example/file"], [], "nothing is known of addresses with 'gopher:'"),
        ([], [], "at least one artifact"),
        (["a", ""], [], "'' is not the name of a file"),
    ],
)
def test_what_is_wrong_registers_nothing(room: Room, artifacts: list[str], parents: list[str], said: str) -> None:
    room.write("a", "a")
    room.write("b", "b")
    os.mkfifo(room.folder / "pipe")
    (room.folder / "folder").mkdir()
    (room.folder / "folder" / "up").symlink_to(room.folder)
    with pytest.raises(ValidationError, match=said):
        room.add(*artifacts, parents=parents)
    assert log(room.store) == []


def test_a_parent_that_nobody_registered_can_be_given_back(room: Room) -> None:
    room.write("raw", "raw")
    room.write("a", "a")
    room.add("a", parents=["raw"])
    raw = room.version("raw")
    assert room.store.blobs.read(raw.version.content.sha256) == b"raw" and raw.version.parents == ()
    [by_hash] = room.add("a", parents=[f"sha256:{raw.version.content.sha256}"])
    assert by_hash.known, "a parent is its content, however it is named"


def test_a_folder_is_the_list_of_its_files(room: Room) -> None:
    for name in ("set/a.txt", "set/deep/b.txt", "set/ü ber.txt"):
        room.write(name, name)
    os.chmod(room.folder / "set/a.txt", 0o700)
    (room.folder / "set/link.txt").symlink_to("a.txt")
    [found] = room.add("set")
    content = found.version.content
    assert (content.kind, content.files) == ("folder", 4)
    files = files_of(room.store, content)
    assert files["deep/b.txt"] == (digest_bytes(b"set/deep/b.txt"), 14, False)
    assert files["a.txt"][2] and files["link.txt"][0] == digest_bytes(b"set/a.txt")
    assert all(room.store.blobs.intact(digest) for digest, _, _ in files.values())
    room.write("set/deep/b.txt", "other")
    [changed] = room.add("set")
    assert changed.version.content.sha256 != content.sha256 and not changed.known
    room.write("set/deep/b.txt", "set/deep/b.txt")
    assert room.add("set")[0].version.content.sha256 == content.sha256


def test_what_did_not_change_is_not_read_again(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(30):
        room.write(f"set/{number}", str(number))
    monkeypatch.setattr("physlab.versioning.files.SETTLED_NS", -1)  # the files are as old as they will be
    content = keep(room.store, room.folder / "set")
    read: list[str] = []
    put = Blobs.put_many

    def told(blobs: Blobs, paths: list[str]) -> list[tuple[str, int]]:
        read.extend(paths)
        return put(blobs, paths)

    monkeypatch.setattr(Blobs, "put_many", told)
    assert keep(room.store, room.folder / "set") == content and read == []
    room.write("set/7", "seven")
    changed = keep(room.store, room.folder / "set")
    assert [Path(path).name for path in read] == ["7"] and changed.sha256 != content.sha256
    room.store.blobs.remove(digest_bytes(b"3"))
    assert keep(room.store, room.folder / "set") == changed and room.store.blobs.intact(digest_bytes(b"3"))


def test_git_tells_the_code(room: Room) -> None:
    git(room.folder, "init", "-q")
    room.write("model.py", "n = 2\n")
    room.write(".gitignore", "*.tmp\n")
    git(room.folder, "add", ".")
    git(room.folder, "commit", "-qm", "first")
    commit = git(room.folder, "rev-parse", "HEAD")
    room.write("a.tmp", "a")
    [clean] = room.add("a.tmp")
    assert (clean.version.code.version, clean.version.code.commit) == (commit[:8], commit)
    assert not clean.version.code.changed and clean.version.code.diff is None
    room.write("model.py", "n = 3\n")
    room.write("new.py", "print()\n")
    before = git(room.folder, "status", "--porcelain")
    [dirty] = room.add("a.tmp")
    code = dirty.version.code
    assert code.version == f"{commit[:8]}+changes" and code.changed and code.diff is not None
    diff = room.store.blobs.read(code.diff).decode()
    assert "-n = 2" in diff and "+n = 3" in diff and "+print()" in diff and "a.tmp" not in diff
    assert dirty.version.lineage_id != clean.version.lineage_id and not dirty.known
    assert git(room.folder, "status", "--porcelain") == before, "the repository and its index are as they were"
    assert room.add("a.tmp")[0].known


def test_outside_a_repository_nothing_is_made_up(room: Room) -> None:
    room.write("a", "a")
    [found] = room.add("a")
    assert found.version.code.version == "" and found.version.code.commit is None


def test_bytes_that_stay_where_they_are(room: Room) -> None:
    path = room.write("survey.fits", b"stars" * 1000)
    [found] = room.add("survey.fits", external=True)
    content = found.version.content
    assert content.kind == "external" and content.sha256 == digest_bytes(b"stars" * 1000)
    assert content.uri == path.as_uri() and list(room.store.blobs.all()) == []
    [again] = room.add(path.as_uri())
    assert again.version.content == content


def test_a_store_that_is_damaged_is_not_believed(room: Room) -> None:
    room.write("a", "a")
    [found] = room.add("a")
    sha256 = found.version.content.sha256
    path = room.store.blobs.path(sha256)
    os.chmod(path, 0o644)
    path.write_bytes(b"b")
    with pytest.raises(StoreError, match="damaged"):
        room.store.blobs.read(sha256)
    assert sha256 in str(list(room.store.verify()))
    path.unlink()
    [said] = room.store.verify()
    assert f"sha256:{sha256} is missing, a version of" in said


@pytest.mark.parametrize(
    "name", ["../store.json", "/etc/passwd", "0" * 63, "0" * 65, "A" * 64, "0" * 63 + "/", "g" * 64]
)
def test_s22_only_64_hexadecimal_digits_lead_to_bytes(room: Room, name: str) -> None:
    for text in (name, f"sha256:{name}"):
        with pytest.raises(ValidationError, match="is not a SHA-256"):
            room.store.blobs.path(text)
    with pytest.raises(ValidationError):
        room.version(f"sha256:{name}")


def test_thousands_of_artifacts_at_once(room: Room) -> None:
    names = [f"many/{number}" for number in range(GROUP_FILES + 100)]
    for name in names:
        room.write(name, name)
    found = room.add(*names)
    assert len({item.version.lineage_id for item in found}) == len(names)
    assert all(room.store.blobs.intact(item.version.content.sha256) for item in found)
    assert [item.known for item in room.add(*names[:100])] == [True] * 100
