"""The flows `session-share` and `collaborate-share`, by their entrypoints."""

from __future__ import annotations

from pathlib import Path

import pytest

from physlab.bundle import check_bundle
from physlab.engine.locator import load_flow
from physlab.errors import ValidationError
from physlab.lab import Lab
from physlab.model import RunRequest
from physlab.service import Conductor, carry_out
from tests.unit.conftest import open_lab

GRAPH = {"title": "Energy", "nodes": [{"id": "e", "tool": "units_convert",
                                       "params": {"quantity": {"value": 1, "unit": "eV"}, "to": "J"}}]}  # fmt: skip


def run(lab: Lab, folder: Path) -> str:
    return carry_out(lab, lab.read(GRAPH, folder), RunRequest(), Conductor()).run_id


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PHYSLAB_HOME", str(tmp_path / "home"))
    return tmp_path


def test_a_session_is_shared_by_a_flow(folder: Path) -> None:
    flow = load_flow("session_share")
    reply = flow.fn("physics_lab", participants=[{"email": "x@y.org", "role": "read_write"}], expires_in_hours=2)
    assert [(one["role"], one["state"]) for one in reply["participants"]] == [("editor", "invited")]
    assert "/#/join/pll_" in reply["share_url"]
    listed = flow.fn("physics_lab", operation="list")
    assert [one["role"] for one in listed["links"]] == ["editor"]
    with pytest.raises(ValidationError, match="is over"):
        flow.fn("physics_lab", expires="2020-01-01T00:00:00Z")


def test_a_graph_is_shared_by_a_flow(folder: Path) -> None:
    with open_lab(folder) as lab:
        run_id = run(lab, folder)
    flow = load_flow("collaborate_share")
    reply = flow.fn("Energy", "read", ["x@y.org"], report=False)
    assert reply["bundle"]["runs"] == [run_id] and "/#/join/pll_" in reply["share_url"]
    checked = check_bundle(Path(reply["bundle"]["path"]))
    assert (checked.manifest.title, checked.size) == ("Energy", reply["bundle"]["size"])
    with pytest.raises(ValidationError, match="participants"):
        flow.fn("Energy", "read", [])
