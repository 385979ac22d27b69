"""The picture of a run while it runs, at chosen moments."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from physlab.cli.live import SMALL, View
from physlab.cli.output import voice
from physlab.run import Event


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """A stderr that is no terminal, kept as text."""
    stream = io.StringIO()
    monkeypatch.setitem(voice.__dict__, "err", Console(file=stream, width=100))
    monkeypatch.setattr(voice, "quiet", False)
    return stream


def drawn(view: View) -> str:
    stream = io.StringIO()
    Console(file=stream, width=100, force_terminal=False).print(view.draw())
    return stream.getvalue()


def begun(count: int) -> View:
    view = View("Stones")
    view.begin("20260101-000000-abcdef", [(f"n{index}", "data.series") for index in range(count)])
    return view


def test_a_small_graph_is_a_table(screen: io.StringIO) -> None:
    view = begun(3)
    view.changed(Event("n0", "completed", duration_ms=1500))
    view.changed(Event("n1", "failed", {"message": "no such file\nand more"}))
    view.changed(Event("n2", "running"))
    lines = [line.split() for line in drawn(view).splitlines() if line.strip()]
    assert "2 of 3 done, 1 running, 1 failed" in " ".join(lines[0])
    assert ["✓", "n0", "data.series", "1.5", "s"] in lines
    assert ["✗", "n1", "data.series", "no", "such", "file"] in lines


def test_a_log_file_gets_a_line_for_each_node(screen: io.StringIO) -> None:
    view = begun(2)
    view.changed(Event("n0", "running"))
    view.changed(Event("n0", "completed", duration_ms=12))
    view.changed(Event("n1", "cached"))
    view.end()
    assert screen.getvalue().splitlines() == [
        "Stones · 2 nodes · run 20260101-000000-abcdef",
        "✓ n0 12 ms",
        "● n1 cached",
    ]


def test_a_large_graph_is_a_bar(screen: io.StringIO) -> None:
    view = begun(SMALL + 975)
    for index in range(500):
        view.changed(Event(f"n{index}", "cached"))
    for index in range(500, 508):
        view.changed(Event(f"n{index}", "running"))
    view.changed(Event("n900", "failed", {"message": "out of memory"}))
    picture = drawn(view)
    assert "501 of 1,000 done, 500 cached, 8 running, 1 failed" in picture
    assert "━" in picture and "… 3 more" in picture and "✗ n900 out of memory" in picture
    assert len(picture.splitlines()) < 20
    assert len(screen.getvalue().splitlines()) < 10


def test_the_rest_is_estimated_from_what_was_computed(screen: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr("physlab.cli.live.time.monotonic", lambda: clock[0])
    view = begun(100)
    for index in range(50):
        view.changed(Event(f"n{index}", "cached"))
    assert "left" not in drawn(view)
    clock[0] += 10
    for index in range(50, 60):
        view.changed(Event(f"n{index}", "completed", duration_ms=1000))
    assert "about 40.0 s left" in drawn(view)


def test_quiet_shows_nothing(screen: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(voice, "quiet", True)
    view = begun(2)
    view.changed(Event("n0", "completed"))
    view.end()
    assert screen.getvalue() == "" and view.counts["completed"] == 1
