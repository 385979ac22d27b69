"""The report on a session: what was computed stands there, with its files beside it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from physlab import service
from physlab.errors import PhyslabError, ValidationError
from physlab.model import Call, RunRequest
from tests.unit.conftest import Bench, open_lab

SPEC: dict[str, Any] = {
    "metadata": {"title": "A *starred* session"},
    "nodes": [
        {"id": "slope", "tool": "cas", "method": "diff", "params": {"expr": "x^3", "symbol": "x"}},
        {"id": "h", "tool": "constants_get", "params": {"name": "h"}},
        {"id": "ev", "tool": "units_convert", "params": {"quantity": "1 eV", "to": "J"}},
        {"id": "curve", "tool": "plot", "method": "function_2d", "params": {"f": "from:slope.str", "x": [0, 1]},
         "visual_outputs": {"static": True, "series": True, "animation": False}},
    ],
}  # fmt: skip


def report(bench: Bench, **params: Any) -> tuple[str, dict[str, Any], Path]:
    reply = service.answer(bench.lab, Call(tool="report_generate", method=None, params=params), bench.folder)
    assert reply.error is None
    path = Path(reply.body["report_path"])
    return path.read_text(encoding="utf-8"), reply.body, path


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """A lab in which the session took place."""
    folder = tmp_path_factory.mktemp("session")
    with open_lab(folder) as lab:
        assert service.run_dag(lab, SPEC, RunRequest(), base_dir=folder).error is None
        yield Bench(lab, folder)


def test_everything_stands_there(session: Bench) -> None:
    text, reply, path = report(session, session_id="latest", title="Day one", author="A. Physicist")
    assert text.startswith("# Day one\n\n*A. Physicist*\n\n1 run of 4 steps, ")
    assert "$$ 3 x^{2} $$" in text and "cas.diff of `x^3`" in text
    assert "| Planck constant | 6.62607015 × 10⁻³⁴ joule * second | exact |" in text
    assert "- 1 electron_volt = 1.602176634 × 10⁻¹⁹ joule" in text
    figure = re.search(r"!\[.*?\]\((.+?)\)", text)
    assert figure is not None and (path.parent / figure[1]).read_bytes().startswith(b"\x89PNG")
    assert "### A \\*starred\\* session, run `" in text
    assert "| `curve` | plot.function_2d | f = str of slope, x = [0, 1] |" in text, "defaults are left out"
    digest = session.lab.find_run("latest").nodes[3]
    record = session.lab.store.record(str(digest.record))
    assert all(f"`{item['sha256']}`" in text for item in record["artifacts"] if item["role"] != "thumbnail")
    assert reply["bytes"] == len(text.encode()) and reply["format"] == "markdown" and len(reply["runs"]) == 1


def test_sections_are_chosen(session: Bench) -> None:
    text, _, _ = report(session, session_id="latest", include=["units"])
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Units"]


def test_a_session_is_a_run_a_graph_a_day_or_the_lab(session: Bench) -> None:
    again = service.run_dag(session.lab, SPEC, RunRequest(), base_dir=session.folder).body["run_id"]
    service.answer(session.lab, Call(tool="constants_get", method=None, params={"name": "c"}), session.folder)
    assert report(session, session_id=again)[1]["runs"] == [again]
    both = report(session, session_id="a-starred-session")[1]["runs"]
    assert len(both) == 2 and both[-1] == again
    day = session.lab.find_run(again).started_at[:10]
    for name in (day, "lab"):
        text, reply, _ = report(session, session_id=name)
        assert len(reply["runs"]) >= 3 and "| `call` | constants_get | name = c |" in text


@pytest.mark.parametrize(("params", "said"), [
    ({"session_id": "1999-01-01"}, "no finished run for the session '1999-01-01'"),
    ({"session_id": "nothing"}, "no finished run 'nothing'"),
    ({"session_id": "latest", "format": "docx"}, "format = 'docx'"),
    ({"session_id": "latest", "include": ["poems"]}, "poems"),
    ({}, "'session_id' is missing"),
])  # fmt: skip
def test_what_is_wrong_is_said(session: Bench, params: dict[str, Any], said: str) -> None:
    with pytest.raises(PhyslabError, match=re.escape(said)):
        report(session, **params)


def test_a_lab_without_runs(bench: Bench) -> None:
    with pytest.raises(ValidationError, match="no finished run for the session 'lab'"):
        report(bench, session_id="lab")
