"""One meaning of a name everywhere, and a word where the file on the disk is something else."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from physlab.errors import ValidationError
from physlab.lab import Lab
from physlab.service.versions import look
from physlab.settings import load_settings
from physlab.store import Store
from physlab.versioning import history
from physlab.versioning.history import find, log, read_moment
from physlab.versioning.names import meant, meant_version
from physlab.versioning.origin import upstream
from physlab.versioning.restore import restore
from physlab.versioning.tags import tag
from tests.unit.versioning.conftest import Room


def three_slopes(room: Room) -> None:
    room.write("raw.csv", "x\n1\n")
    for number in (1, 2, 3):
        room.write("slope.csv", f"slope\n{number}\n")
        room.add("slope.csv", parents=["raw.csv"], params={"n": number}, code_version="c")


def test_a_file_that_was_changed_by_hand_is_told_of(room: Room) -> None:
    three_slopes(room)
    assert meant(room.store, "slope.csv", room.folder).remark == ""
    room.write("slope.csv", "by hand\n")
    found = meant_version(room.store, "slope.csv", room.folder)
    said = "slope.csv here is in no version; this is slope.csv@3: physlab version add slope.csv"
    assert (found.name, found.remark) == ("slope.csv@3", said) and found.as_object()["remark"] == said
    assert meant(room.store, "slope.csv@2", room.folder).remark == "", "a named version is not what is on the disk"
    (room.folder / "slope.csv").unlink()
    assert meant(room.store, "slope.csv", room.folder).remark == "", "nothing stands there that could be mistaken"


def test_a_restored_version_does_not_change_what_the_name_means(room: Room) -> None:
    three_slopes(room)
    first = room.version("slope.csv@1")
    assert restore(room.store, first.version.content, room.folder / "slope.csv") == 1
    found = meant(room.store, "slope.csv", room.folder)
    assert found.known is not None and found.known.name == "slope.csv@3"
    assert found.remark.startswith("slope.csv here is slope.csv@1; this is slope.csv@3")
    assert meant_version(room.store, "slope.csv", room.folder).record == room.version("slope.csv").record


def test_a_folder_here_is_compared_too(room: Room) -> None:
    room.write("set/a", "a")
    room.write("set/deep/b", "b")
    room.add("set")
    before = room.everything()
    assert meant(room.store, "set", room.folder).remark == ""
    room.write("set/a", "other")
    assert "set here is in no version" in meant(room.store, "set", room.folder).remark
    assert room.everything() == before, "asking keeps nothing"


def test_a_copy_under_another_name_is_what_its_bytes_are(room: Room) -> None:
    three_slopes(room)
    room.write("copy.csv", "slope\n2\n")
    found = meant_version(room.store, "copy.csv", room.folder)
    assert (found.name, found.remark) == ("slope.csv@2", "")
    room.write("new.csv", "nobody knows\n")
    with pytest.raises(ValidationError, match=r"in no version.*physlab version add new.csv"):
        meant_version(room.store, "new.csv", room.folder)


def test_a_named_version_is_that_version(room: Room) -> None:
    three_slopes(room)
    room.write("slope.csv", "slope\n1\n")
    room.add("slope.csv", code_version="c")
    fourth = room.version("slope.csv@4")
    sha256 = fourth.version.content.sha256
    chain = upstream(room.store, sha256, fourth)
    assert [activity.name for activity in chain.activities.values()] == ["slope.csv@4"]
    assert [entity.name for entity in chain.raw()] == ["slope.csv"]
    assert chain.entities[chain.of].facts["same_bytes"] == ["slope.csv@1"]
    first = upstream(room.store, sha256, room.version("slope.csv@1"))
    assert [activity.name for activity in first.activities.values()] == ["slope.csv@1", "raw.csv@1"]
    everything = upstream(room.store, sha256)
    assert len(everything.activities) == 3, "bytes are everything that is registered of them"


def test_every_command_says_it(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(room.folder)
    settings = load_settings(room.folder, overrides={"home": str(room.folder.parent / "home")}, environ={})
    with Lab(settings) as lab:
        lab_room = Room(lab.store, room.folder)
        three_slopes(lab_room)
        lab_room.write("slope.csv", "by hand\n")
        said = "slope.csv here is in no version; this is slope.csv@3: physlab version add slope.csv"
        assert look.find_version(lab, "slope.csv").remark == said
        assert look.lineage_of(lab, "slope.csv").as_object()["remark"] == said
        assert look.impact_of(lab, "slope.csv")[0].remark == said
        assert look.label_version(lab, "slope.csv", "private")["remark"] == said
        assert look.diff_versions(lab, "slope.csv", None)["remarks"] == [said]
        tagged = look.tag_version(lab, "submitted", "slope.csv")
        assert tagged is not None and tagged.remark == said
        assert "remark" not in look.find_version(lab, "slope.csv@3").as_object()


# --- days ----------------------------------------------------------------------------------------------------------


def dated_slopes(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    """Register three states on three days."""
    from physlab.versioning import register

    for day in (16, 17, 19):

        class Clock(datetime):
            @classmethod
            def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
                return datetime(2026, 11, day, 23, 30, 5, tzinfo=UTC)  # noqa: B023 - used at once

        monkeypatch.setattr(register, "datetime", Clock)
        room.write("slope.csv", f"slope\n{day}\n")
        room.add("slope.csv", code_version="c")


def test_the_state_of_a_day_is_the_last_until_its_end(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    dated_slopes(room, monkeypatch)
    for name, number in (
        ("slope.csv@2026-11-16", 1), ("slope.csv@2026-11-17", 2), ("slope.csv@2026-11-18", 2),
        ("slope.csv@2026-12-01", 3), ("slope.csv@2026-11-17T23:30:04", 1), ("slope.csv@2026-11-17T23:30:05", 2),
        ("slope.csv@2026-11-18T00:30:05+01:00", 2), ("slope.csv@2", 2),
    ):  # fmt: skip
        assert find(room.store, name, room.folder).number == number, name
    found = meant_version(room.store, "slope.csv@2026-11-18", room.folder)
    assert found.remark == "slope.csv@2 is the last until 2026-11-18 23:59:59 UTC"
    with pytest.raises(ValidationError, match=r"no version until 2026-11-15 23:59:59 UTC.*slope.csv@1.*2026-11-16"):
        find(room.store, "slope.csv@2026-11-15", room.folder)
    with pytest.raises(ValidationError, match="'2026-13-01' is no day"):
        find(room.store, "slope.csv@2026-13-01", room.folder)


def test_the_log_of_some_days(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    dated_slopes(room, monkeypatch)

    def numbers(since: str | None, until: str | None, store: Store = room.store) -> list[int]:
        first, last = read_moment(since, begin=True) if since else None, read_moment(until) if until else None
        return [known.number for known in log(store, since=first, until=last)]

    assert numbers("2026-11-17", None) == [3, 2] and numbers(None, "2026-11-17") == [2, 1]
    assert numbers("2026-11-17", "2026-11-18") == [2] and numbers("2026-11-20", None) == []
    assert numbers(None, "2026-11-16T23:30:04") == []


def test_a_tag_that_looks_like_nothing_else_needs_no_remark(room: Room) -> None:
    three_slopes(room)
    tag(room.store, "paper", room.version("slope.csv@1").record, "me")
    room.write("slope.csv", "by hand\n")
    found = meant_version(room.store, "paper", room.folder)
    assert (found.name, found.remark, history.dated("paper", found)) == ("slope.csv@1", "", "")
    assert meant(room.store, found.version.lineage_id, room.folder).remark == ""
