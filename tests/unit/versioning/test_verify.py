"""What `version verify` reads again, and what it calls wrong."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from physlab.lab import Lab
from physlab.service.versions.verify import verify_versions
from physlab.settings import load_settings
from tests.unit.versioning.conftest import Room


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Lab, Room]]:
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    with Lab(load_settings(folder, overrides={"home": str(tmp_path / "home")}, environ={})) as lab:
        yield lab, Room(lab.store, folder)


def test_an_intact_external_file_is_named(lab: tuple[Lab, Room]) -> None:
    one, room = lab
    path = room.write("survey.csv", "stars")
    room.add("survey.csv", external=True)
    found = verify_versions(one, None)
    assert (found.files, found.external, found.versions) == (0, [path.as_uri()], ["survey.csv@1"])
    assert found.as_object()["ok"] and not found.gone


def test_a_state_that_was_replaced_outside_is_told_once_and_is_no_failure(lab: tuple[Lab, Room]) -> None:
    one, room = lab
    for state in ("stars", "more stars"):
        path = room.write("survey.csv", state)
        room.add("survey.csv", external=True)
    found = verify_versions(one, None)
    assert found.problems == [] and found.external == [path.as_uri()]
    [told] = found.gone
    assert told.startswith("survey.csv@1") and "survey.csv@2" in told
    assert "survey.csv@1" in verify_versions(one, "survey.csv@1").problems[0], "it was asked for by name"
    room.write("survey.csv", "neither")
    assert [problem[:12] for problem in verify_versions(one, None).problems] == ["survey.csv@2"]
    path.unlink()
    assert [problem[:12] for problem in verify_versions(one, None).problems] == ["survey.csv@2"]


def test_a_damaged_file_of_the_store_is_a_failure(lab: tuple[Lab, Room]) -> None:
    one, room = lab
    room.write("a", "a")
    [made] = room.add("a")
    assert verify_versions(one, None).files == 1
    path = room.store.blobs.path(made.version.content.sha256)
    os.chmod(path, 0o644)
    path.write_bytes(b"b")
    [problem] = verify_versions(one, "a@1").problems
    assert problem.startswith("a@1: sha256:") and "missing or damaged" in problem
