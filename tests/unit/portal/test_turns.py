"""Nothing is answered that the audit log does not tell; and a log that cannot be written stops answers, not the lab."""

from __future__ import annotations

from typing import Any

import pytest

from physlab.collab.audit import Event, Trail
from physlab.errors import StoreError
from physlab.portal.notes import Notes
from tests.unit.portal.stage import SESSION, Stage


def _full(*_: Any) -> int:
    raise StoreError("No space is left.", hint="Make some.")


def test_what_could_not_be_noted_is_not_answered(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    viewer = stage.signed_in("viewer")
    monkeypatch.setattr(Trail, "add", _full)
    refused = viewer("GET", f"sessions/{SESSION}/artifacts/{stage.file}")
    assert refused.status_code == 503 and refused.json()["error"]["message"] == "No space is left."
    monkeypatch.undo()
    assert viewer("GET", f"sessions/{SESSION}/artifacts/{stage.file}").status_code == 200
    told = stage.signed_in("owner")("GET", f"sessions/{SESSION}/audit", params={"thing": stage.file}).json()["entries"]
    assert [one["action"] for one in told] == ["artifact.read"]


def test_a_change_is_noted_before_it_is_made(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    editor = stage.signed_in("editor")
    before = editor("GET", f"sessions/{SESSION}/notebook").json()["entries"]
    monkeypatch.setattr(Trail, "add", _full)
    refused = editor("POST", f"sessions/{SESSION}/notebook", {"title": "Levels"})
    assert refused.status_code == 503
    monkeypatch.undo()
    assert editor("GET", f"sessions/{SESSION}/notebook").json()["entries"] == before


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_nobody_waits_for_a_writer_that_broke(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    notes = Notes(stage.commons.trail, stage.commons.sessions)
    notes.note(Event("lab", "run.see"))

    def broken(*_: Any) -> int:
        raise RuntimeError("a fault")

    monkeypatch.setattr(Trail, "add", broken)
    with pytest.raises(StoreError, match="not written any more"):
        notes.note(Event("lab", "run.see"))
    monkeypatch.undo()
    notes._thread.join(10)
    with pytest.raises(StoreError, match="not written any more"):
        notes.note(Event("lab", "run.see"))


def test_entries_that_wait_are_written_together_before_it_closes(stage: Stage) -> None:
    notes = Notes(stage.commons.trail, stage.commons.sessions)
    waiting = [notes.begin(Event("lab", "run.see", object=str(number))) for number in range(50)]
    notes.close()
    assert all(done.done() and done.exception() is None for done in waiting)
    told = stage.commons.trail.read(who="lab", action="run.see", limit=100)
    assert [one["object"] for one in told] == [str(number) for number in reversed(range(50))]
    with pytest.raises(StoreError, match="not written any more"):
        notes.begin(Event("lab", "run.see"))
