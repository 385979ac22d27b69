"""Ordinary mistakes with versions end in an error that says what to do."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from physlab.cli.origin import write_output
from physlab.cli.version import _code_warnings
from physlab.errors import PhyslabError, StoreError, ValidationError
from physlab.versioning.restore import restore
from physlab.versioning.tags import tag
from tests.unit.versioning.conftest import Room


def nobody_listens() -> int:
    """Return a port of this machine on which nobody answers."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def test_an_address_that_cannot_be_read_is_an_error_with_a_command(
    room: Room, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    port = nobody_listens()
    for place, said, command in (
        ("s3://bucket-of-nobody/x", "credentials", "aws s3 ls s3://bucket-of-nobody/x"),
        ("s3:///", "cannot be read", "aws s3 ls"),
        (f"sftp://127.0.0.1:{port}/x", "cannot be read", f"sftp 127.0.0.1:{port}"),
    ):
        with pytest.raises(StoreError, match=said) as raised:
            room.add(place)
        assert place in raised.value.message and command in raised.value.hint
    assert room.store.records_of("version") == []


@pytest.mark.parametrize("external", [True, False])
def test_a_place_that_cannot_be_written_is_an_error(room: Room, external: bool) -> None:
    room.write("survey", "stars")
    room.write("afile", "a")
    content = room.add("survey", external=external)[0].version.content
    for target in (room.folder / "afile" / "x", room.folder / ("x" * 300)):
        with pytest.raises(StoreError, match="cannot be written") as raised:
            restore(room.store, content, target)
        assert "folder writable" in raised.value.hint
    assert sorted(path.name for path in room.folder.iterdir()) == ["afile", "survey"]


def test_an_output_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    write_output(tmp_path / "lineage.svg", "picture")
    assert (tmp_path / "lineage.svg").read_text() == "picture\n"
    for wrong in (tmp_path / "no" / "lineage.svg", tmp_path):
        with pytest.raises(StoreError, match="cannot be written") as raised:
            write_output(wrong, "picture")
        assert f"mkdir -p {wrong.parent}" in raised.value.hint
    assert [path.name for path in tmp_path.iterdir()] == ["lineage.svg"]


def test_code_that_nobody_told_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("fit.py").write_text("print(1)")
    assert "code unknown here" in _code_warnings(None, "", ["raw.csv"])[0]
    assert _code_warnings(None, "", ["raw.csv", "fit.py"]) == []
    assert _code_warnings("1.0", "1.0", []) == [] and _code_warnings(None, "9259c42a", []) == []
    [said] = _code_warnings("fit.py", "fit.py", [])
    assert "the name of a version" in said and said.endswith("--parent fit.py")


def test_a_parent_has_the_short_names_that_versions_have(room: Room) -> None:
    room.write("raw.csv", "x")
    room.write("slope.csv", "y")
    [raw] = room.add("raw.csv")
    sha256 = raw.version.content.sha256
    for name in (f"sha256:{sha256[:8]}", f"sha256:{sha256[:20]}", f"sha256:{sha256}"):
        [made] = room.add("slope.csv", parents=[name])
        assert [parent.sha256 for parent in made.version.parents] == [sha256], name
    for wrong in ("sha256:00000000", f"sha256:{sha256[:7]}", f"sha256:{'0' * 64}"):
        with pytest.raises(PhyslabError):
            room.add("slope.csv", parents=[wrong])
    assert room.version("slope.csv").number == 1


def test_a_tag_cannot_be_called_like_a_file_with_versions(room: Room) -> None:
    room.write("set/slope.csv", "y")
    [made] = room.add("set/slope.csv")
    with pytest.raises(ValidationError, match=r"cannot be a tag: .*/set/slope.csv has versions"):
        tag(room.store, "slope.csv", made.record, "me")
    for free in ("lope.csv", "slope", "slope_csv"):
        tag(room.store, free, made.record, "me")
    tag(room.store, "slope_csv", None, "me")
