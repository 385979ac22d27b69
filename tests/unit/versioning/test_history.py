"""Versions by name, their differences, and giving them back."""

from __future__ import annotations

import io
import os
from datetime import date
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from PIL import Image

from physlab.errors import StoreError, ValidationError
from physlab.versioning.code import read_patch
from physlab.versioning.differ import differences
from physlab.versioning.differences import compare
from physlab.versioning.history import log
from physlab.versioning.labels import Label, held, label, labels, may_leave, read_label
from physlab.versioning.restore import restore
from physlab.versioning.tags import tag, tags
from tests.unit.versioning.conftest import Room
from tests.unit.versioning.test_register import git


def three_versions(room: Room) -> None:
    for number in (1, 2, 3):
        room.write("data.csv", f"x,y\n1,{number}\n")
        room.add("data.csv", params={"n": number}, code_version="c")


def test_versions_have_names(room: Room) -> None:
    three_versions(room)
    room.write("sub/data.csv", "other")
    room.add("sub/data.csv")
    assert [known.name for known in log(room.store)] == ["data.csv@1", "data.csv@3", "data.csv@2", "data.csv@1"]
    assert [known.number for known in log(room.store, "data.csv", room.folder)] == [3, 2, 1]
    second = room.version("data.csv@2")
    assert second.version.params == {"n": 2} and room.version("data.csv").number == 3
    sha256 = second.version.content.sha256
    for name in (second.version.lineage_id, sha256, f"sha256:{sha256[:10]}", second.record):
        assert room.version(name) == second
    assert room.version("sub/data.csv").version.artifact.endswith("/sub/data.csv")
    for name, said in (("data.csv@4", "1 to 3"), ("date.csv", "Did you mean 'data.csv'"), ("abcdef12", "no version")):
        with pytest.raises(ValidationError, match=said):
            room.version(name)


def test_a_name_that_several_have_is_asked_back(room: Room) -> None:
    for name in ("a/same", "b/same"):
        room.write(name, name)
        room.add(name)
    with pytest.raises(ValidationError, match="2 artifacts are called 'same'"):
        room.version("same")


def test_tags_stand_until_they_are_moved(room: Room) -> None:
    three_versions(room)
    one, two = room.version("data.csv@1"), room.version("data.csv@2")
    tag(room.store, "paper", one.record, "me")
    assert room.version("paper").record == one.record and room.version("data.csv@1").tags == ("paper",)
    with pytest.raises(ValidationError, match="--move"):
        tag(room.store, "paper", two.record, "me")
    tag(room.store, "paper", two.record, "me", move=True)
    assert tags(room.store) == {"paper": two.record}
    tag(room.store, "paper", None, "me")
    assert tags(room.store) == {}
    for wrong in ("", "2nd", "a b", "../up", "deadbeef", "x" * 65):
        with pytest.raises(ValidationError, match="cannot be a tag"):
            tag(room.store, wrong, one.record, "me")


# --- differences ---------------------------------------------------------------------------------------------------


def test_origin_and_content_are_compared(room: Room) -> None:
    three_versions(room)
    room.store.reindex()
    found = differences(room.store, room.version("data.csv@1"), room.version("data.csv@3"))
    assert found["origin"] == {"params.n": [1, 3]} and not found["equal"]
    assert found["files"]["data.csv"]["lines"] == ["y: 1 of 1 values differ, by at most 2 (relative 0.667) at [0]"]
    assert differences(room.store, room.version("data.csv"), room.version("data.csv"))["equal"]


def test_an_edit_of_the_code_is_a_difference(room: Room) -> None:
    """Two versions on either side of an edit, both without a commit of it: `…+changes` twice."""
    room.write("fit.py", "slope = 1\n")
    room.write("slope.csv", "slope\n1\n")
    for words in (("init", "-q"), ("add", "fit.py"), ("commit", "-q", "-m", "first")):
        git(room.folder, *words)
    for number in (2, 3):
        room.write("fit.py", f"slope = {number}\n")
        room.add("slope.csv")
    one, two = room.version("slope.csv@1"), room.version("slope.csv@2")
    assert one.version.code.version == two.version.code.version
    found = differences(room.store, one, two)
    assert found["equal"] and found["origin"].keys() == {"code"}
    before, after = found["origin"]["code"]
    assert before != after and one.version.code.diff is not None and one.version.code.diff[:12] in before
    assert {"-+slope = 2", "++slope = 3"} <= set(found["code"])
    assert "+slope = 2" in read_patch(room.store, one.version.code).splitlines()
    same = differences(room.store, one, one)
    assert same["code"] == [] and same["origin"] == {}


def test_folders_are_compared_file_by_file(room: Room) -> None:
    for name in ("same", "gone", "text.txt"):
        room.write(f"set/{name}", f"{name}\nline\n")
    room.add("set")
    (room.folder / "set/gone").unlink()
    room.write("set/new", "new")
    room.write("set/text.txt", "text.txt\nchanged\n")
    room.add("set")
    found = differences(room.store, room.version("set@1"), room.version("set@2"))
    assert (found["added"], found["removed"], list(found["files"])) == (["new"], ["gone"], ["text.txt"])
    assert found["files"]["text.txt"]["lines"][-2:] == ["-line", "+changed"]


def npy(array: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.asarray(array))
    return buffer.getvalue()


def png(colour: tuple[int, int, int], dot: tuple[int, int] | None = None, **how: Any) -> bytes:
    image = Image.new("RGB", (40, 30), colour)
    if dot:
        image.putpixel(dot, (255, 255, 255))
    buffer = io.BytesIO()
    image.save(buffer, "PNG", **how)
    return buffer.getvalue()


def hdf5(path: Path, field: list[float], **attributes: Any) -> bytes:
    with h5py.File(path, "w") as file:
        file["run/field"] = field
        file["run"].attrs.update(attributes)
    return path.read_bytes()


@pytest.mark.parametrize(
    ("name", "before", "after", "kind", "lines"),
    [
        ("a.txt", b"one\ntwo\n", b"one\nTWO\n", "text", ["-two", "+TWO"]),
        ("a.csv", b"x,y\n1,2\n3,4\n", b"x,z\n1,2\n3,4\n", "table", ["column y was removed", "column z was added"]),
        ("a.csv", b"x\n1\n", b"x\n1.0\n", "table", ["only the spelling differs: the values are the same"]),
        ("a.csv", b"x\na\nb\n", b"x\na\nc\n", "table", ["x: 1 of 2 values differ, first in row 2"]),
        ("a.csv", b"x\n1\n", b"x\n1\n2\n", "table", ["rows: 1 → 2"]),
        ("a.csv", b"no table", b"x,y\n1\n", "text", ["-no table", "+x,y", "+1"]),
        ("a.npy", npy([1.0, 2.0]), npy([1.0, 2.5]), "array",
         ["values: 1 of 2 values differ, by at most 0.5 (relative 0.2) at [1]"]),
        ("a.npy", npy([1.0, np.nan]), npy([1.0, np.inf]), "array",
         ["values: 1 of 2 values differ, by at most inf (relative inf) at [1]"]),
        ("a.npy", npy([1.0]), npy([[1.0]]), "array", ["values: float64 (1,) → float64 (1, 1)"]),
        ("a.npy", npy([1, 2]), npy([1.0, 2.0]), "array", ["values: int64 → float64, same values"]),
        ("a.npy", npy([1 + 1j]), npy([1 + 2j]), "array",
         ["values: 1 of 1 values differ, by at most 1 (relative 0.447) at [0]"]),
        ("a.png", png((0, 0, 0)), png((0, 0, 0), (3, 4)), "image",
         ["1 of 1200 pixels differ (0.08%), by at most 255 of 255, mean 0.212, within [3, 4, 3, 4]"]),
        ("a.png", png((9, 9, 9)), png((9, 9, 9), compress_level=0), "image",
         ["only the file differs: every pixel is the same"]),
        ("a.bin", b"\0\1\2", b"\0\1\3\4", "bytes", ["3 bytes before, 4 after; they differ from byte 2 on"]),
    ],
)  # fmt: skip
def test_each_kind_of_file_has_its_words(
    tmp_path: Path, name: str, before: bytes, after: bytes, kind: str, lines: list[str]
) -> None:
    (tmp_path / "before").write_bytes(before)
    (tmp_path / "after").write_bytes(after)
    found = compare(tmp_path / "before", tmp_path / "after", name)
    assert (found.kind, list(found.lines)[-len(lines) :]) == (kind, lines) and not found.equal


def test_hdf5_is_compared_dataset_by_dataset(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a.h5", "b.h5")]
    hdf5(paths[0], [1.0, 2.0], unit="m", old=1)
    hdf5(paths[1], [1.0, 2.1], unit="km", new=2)
    assert list(compare(*paths, "a.h5").lines) == [
        "/run@old was removed", "/run@new was added",
        "/run/field: 1 of 2 values differ, by at most 0.1 (relative 0.0476) at [1]", "/run@unit: 'm' → 'km'",
    ]  # fmt: skip
    with h5py.File(paths[1], "w", libver="latest") as file:
        file["run/field"] = [1.0, 2.0]
        file["run"].attrs.update(unit="m", old=1)
    assert list(compare(*paths, "a.h5").lines) == ["only the layout of the file differs: the values are the same"]


# --- restoring -----------------------------------------------------------------------------------------------------


def test_a_version_comes_back(room: Room) -> None:
    three_versions(room)
    path = room.folder / "data.csv"
    assert restore(room.store, room.version("data.csv@1").version.content, path) == 1
    assert path.read_text() == "x,y\n1,1\n" and os.access(path, os.W_OK)
    assert restore(room.store, room.version("data.csv@1").version.content, path) == 0, "it was so already"
    path.write_text("work of a day")
    with pytest.raises(ValidationError, match="would be lost"):
        restore(room.store, room.version("data.csv@2").version.content, path)
    assert path.read_text() == "work of a day"
    restore(room.store, room.version("data.csv@2").version.content, path, force=True)
    assert path.read_text() == "x,y\n1,2\n"
    path.write_text("changed in place")  # the user's file is a copy
    assert room.store.blobs.intact(room.version("data.csv@2").version.content.sha256)


def test_a_folder_comes_back_whole(room: Room) -> None:
    for name in ("a", "deep/b"):
        room.write(f"set/{name}", name)
    os.chmod(room.folder / "set/a", 0o700)
    room.add("set")
    room.write("set/a", "changed")
    room.write("set/c", "more")
    room.add("set")
    restore(room.store, room.version("set@1").version.content, room.folder / "set")
    there = {str(path.relative_to(room.folder / "set")) for path in (room.folder / "set").rglob("*") if path.is_file()}
    assert there == {"a", "deep/b"} and os.access(room.folder / "set/a", os.X_OK)
    assert [path.name for path in room.folder.iterdir()] == ["set"], "nothing half-made is left"


@pytest.mark.parametrize("place", [0, 1, -1])
def test_a_flipped_byte_is_named_and_nothing_is_written(room: Room, place: int) -> None:
    for name in ("a", "b"):
        room.write(f"set/{name}", name * 3)
    content = room.add("set")[0].version.content
    path = room.store.blobs.path(content.sha256 if place < 0 else sorted(room.store.blobs.all())[place])
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    os.chmod(path, 0o644)
    path.write_bytes(data)
    target = room.folder / "back"
    with pytest.raises(StoreError, match=r"damaged|missing"):
        restore(room.store, content, target)
    assert not target.exists()


def test_a_list_that_leaves_its_folder_is_refused(room: Room) -> None:
    room.write("set/a", "a")
    content = room.add("set")[0].version.content
    for name in ("../a", "/etc/a", "b/../../a", ".."):
        sheet = room.store.blobs.read(content.sha256).replace(b'"a":', f'"{name}":'.encode())
        hostile = content.model_copy(update={"sha256": room.store.blobs.put(sheet)[0]})
        with pytest.raises(StoreError, match="outside its folder"):
            restore(room.store, hostile, room.folder / "back")
    assert sorted(path.name for path in room.folder.iterdir()) == ["set"]


def test_external_bytes_are_verified_when_they_are_used(room: Room) -> None:
    path = room.write("survey", b"stars")
    content = room.add("survey", external=True)[0].version.content
    assert restore(room.store, content, path) == 0
    assert restore(room.store, content, room.folder / "copy") == 1
    path.write_bytes(b"sTars")
    for target in (path, room.folder / "other"):
        with pytest.raises(StoreError, match="is not what was registered"):
            restore(room.store, content, target)
    assert not (room.folder / "other").exists()


# --- labels --------------------------------------------------------------------------------------------------------


def test_labels_say_what_may_leave_and_what_must_stay(room: Room) -> None:
    for name in ("a", "set/b", "free"):
        room.write(name, name)
    a, folder, free = (item.version.content.sha256 for item in room.add("a", "set", "free"))
    label(room.store, [a], read_label("private"), "me")
    label(room.store, [folder], read_label("embargo:2027-01-31", date(2026, 11, 1)), "me")
    label(room.store, [folder], read_label("hold:2030-01-01", date(2026, 11, 1)), "me", why="court")
    [file] = [digest for digest in labels(room.store) if digest not in (a, folder)]
    before, after = may_leave(room.store, date(2027, 1, 30)), may_leave(room.store, date(2027, 1, 31))
    assert before(a) == after(f"sha256:{a}") == "it is private" and before(free) is None
    assert before(file) == before(folder) == "it is under embargo until 2027-01-31" and after(file) is None
    assert held(room.store, date(2029, 1, 1)).keys() == {folder, file} and not held(room.store, date(2030, 1, 1))
    label(room.store, [a, folder], Label("open"), "me")
    assert labels(room.store) == {}
    for wrong in ("embargo", "private:2027-01-31", "embargo:soon", "secret"):
        with pytest.raises(ValidationError):
            read_label(wrong)


def test_a_label_of_a_day_that_is_over_ends_nothing(room: Room) -> None:
    """An embargo until 2099 is not ended by a slip of the pen; `open` ends it."""
    room.write("a", "a")
    [made] = room.add("a")
    sha256, today = made.version.content.sha256, date(2026, 11, 22)
    label(room.store, [sha256], read_label("embargo:2099-01-31", today), "me")
    for wrong in ("embargo:2020-01-01", "embargo:2026-11-22", "hold:2020-01-01"):
        with pytest.raises(ValidationError, match=r"ended before it began.*physlab version label FILE open"):
            label(room.store, [sha256], read_label(wrong, today), "me")
    with pytest.raises(ValidationError, match="ended before it began"):
        read_label("embargo:2020-01-01")
    assert may_leave(room.store, today)(sha256) == "it is under embargo until 2099-01-31"
    assert read_label("embargo:2026-11-23", today).binds(today)
    label(room.store, [sha256], read_label("open", today), "me")
    assert may_leave(room.store, today)(sha256) is None
