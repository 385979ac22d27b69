"""The flows `session-share`, `review-access` and `collaborate-share`, by their entrypoints."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from prefect import get_client

from physlab.bundle import check_bundle
from physlab.engine.locator import load_flow
from physlab.errors import ValidationError
from physlab.lab import Lab
from physlab.model import RunRequest
from physlab.service import Conductor, carry_out
from physlab.service.sharing.commons import commons_of
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


@pytest.mark.usefixtures("prefect_server")
def test_access_is_reviewed_by_a_flow(folder: Path) -> None:
    load_flow("session_share").fn("physics_lab", label="for the group", expires_in_hours=2)
    found = load_flow("review_access")(unused_days=1)
    assert found["unused"] == [] and {one["role"] for one in found["access"]} == {"owner", "viewer"}
    again = load_flow("review_access")(unused_days=0)
    assert again["unused"] == again["access"] and len(again["access"]) == len(found["access"])
    with get_client(sync_client=True) as client:
        made = client.request(
            "POST", "/artifacts/latest/filter", json={"artifacts": {"key": {"any_": ["access-review"]}}}
        )
        [table] = made.json()
        assert [row["who"] for row in json.loads(table["data"])] == [one["who"] for one in found["access"]]
    with open_lab(folder) as lab, commons_of(lab) as commons:
        told = commons.trail.read(action="access.review")
        assert [one["told"]["accesses"] for one in told] == [len(found["access"])] * 2


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
