"""How the command line says numbers, reads switches and hears signals."""

from __future__ import annotations

import io
import json
import os
import signal
from collections.abc import Iterator

import pytest
from rich.console import Console

from physlab.cli import boundary
from physlab.cli.boundary import StopSignals, hoist, speaks_json
from physlab.cli.output import counted, duration, escape, quoted, show_problem, size, table, voice


@pytest.mark.parametrize(
    ("ms", "said"),
    [
        (None, ""),
        (0.2, "0 ms"),
        (999.4, "999 ms"),
        (999.6, "1.0 s"),
        (61_000, "61.0 s"),
        (125_000, "2 min 05 s"),
        (7_380_000, "2 h 03 min"),
    ],
)
def test_durations(ms: float | None, said: str) -> None:
    assert duration(ms) == said


@pytest.mark.parametrize(
    ("count", "said"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (2.5e9, "2.5 GB"), (3e15, "3000.0 TB")]
)
def test_sizes(count: float, said: str) -> None:
    assert size(count) == said


def test_words() -> None:
    assert (counted(1, "node"), counted(12345, "node")) == ("1 node", "12,345 nodes")
    assert quoted("a b.yaml") == "'a b.yaml'"


def test_switches_may_stand_anywhere() -> None:
    assert hoist(["run", "x", "-v", "--quiet"]) == ["-v", "--quiet", "run", "x"]
    assert hoist(["run", "--", "-v"]) == ["run", "--", "-v"]


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["run", "x", "--json"], True),
        (["-q", "call", "-"], True),
        (["call", "--help"], False),
        (["run", "x"], False),
        (["why", "latest", "--", "--json"], False),
    ],
)
def test_who_reads_the_answer(argv: list[str], expected: bool) -> None:
    assert speaks_json(argv) is expected


def test_a_column_without_any_text_is_left_out() -> None:
    shown = table(("a", "b", "c"), [["1", "", "[bold]"], ["2", "", ""]])
    assert [column.header for column in shown.columns] == ["a", "c"]
    assert [str(cell) for cell in shown.columns[1].cells] == ["[bold]", ""]
    assert len(table(("a", "b"), []).columns) == 2


@pytest.fixture
def handlers() -> Iterator[None]:
    """Put the signals back as the test runner has them."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_the_first_signal_stops_the_second_waits_the_third_ends(
    handlers: None, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    ended: list[int] = []
    monkeypatch.setattr(boundary.os, "_exit", ended.append)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    stop = StopSignals()
    stop.listen()
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGTERM)
    assert stop.number == signal.SIGTERM
    os.kill(os.getpid(), signal.SIGTERM)
    assert "once more" in capfd.readouterr().err and not ended
    os.kill(os.getpid(), signal.SIGTERM)
    assert ended == [128 + signal.SIGTERM]


def test_an_ignored_signal_stays_ignored(handlers: None) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    StopSignals().listen()
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_markup_in_an_error_is_printed_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    from physlab.cli.output import Voice

    Voice().next("physlab run '[bold]'")
    assert "physlab run '[bold]'" in capsys.readouterr().out
    Voice().reply({"ψ": float("1")})
    assert json.loads(capsys.readouterr().out) == {"ψ": 1.0}


def lines_of(width: int, **how: object) -> list[str]:
    columns = ("version", "sha256", "lineage", "registered", "parameters")
    rows = [[f"slope.csv@{n}", "a1b2c3d4e5f6", "0123456789abcdef", "2026-11-17 14:30", '{"model": "line", "n": 12345}']
            for n in (1, 12)]  # fmt: skip
    rows.append(["slope.csv@13", "a1b2c3d4e5f6", "0123456789abcdef", "2026-11-17 14:30", ""])
    console = Console(width=width, file=io.StringIO(), highlight=False)
    console.print(table(columns, rows, free="parameters", spare=("lineage", "registered"), width=width))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    return [line.rstrip() for line in text.splitlines()]


@pytest.mark.parametrize("width", [40, 60, 80, 100, 200])
def test_names_stay_whole_in_a_narrow_table(width: int) -> None:
    lines = lines_of(width)
    assert len(lines) == 5 and max(map(len, lines)) <= width, lines
    assert "parameters" in lines[0]
    for line, name in zip(lines[2:], ("slope.csv@1 ", "slope.csv@12 ", "slope.csv@13 "), strict=True):
        assert line.startswith(name) and "a1b2c3d4e5f6" in line
    assert ("0123456789abcdef" in lines[2]) == ("lineage" in lines[0])
    assert all(("…" in line) != line.endswith("12345}") for line in lines[2:4])
    assert width < 200 or "lineage" in lines[0]


def test_s27_what_others_wrote_does_nothing_to_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    bad = "a\x1b[31mred\x1b]0;title\x07\r\x9b2Jfake\u202elog\x00\x7f"
    voice.say(table(["what"], [[bad]]))
    voice.fact("title", bad)
    voice.remark(bad)
    show_problem(bad, f"Type: physlab show {bad}")
    voice.say(escape(f"[bold]{bad}\nnext\tline"))
    seen = "".join(capsys.readouterr())
    assert not set(seen) & set("\x1b\x07\r\x9b\u202e\x00\x7f") and seen.count("red") == 6
    assert "[bold]a" in seen and "next" in seen
