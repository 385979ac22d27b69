"""Labelled bytes and the nodes that make what is given to others."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from physlab import service
from physlab.errors import ValidationError
from physlab.lab import Lab
from physlab.versioning import labels
from tests.unit.conftest import Bench

TABLE = {"id": "table", "tool": "data", "method": "export_csv", "params": {"columns": {"t": [0, 1]}, "name": "t.csv"}}


def paper(*files: str) -> dict[str, object]:
    return {
        "id": "out", "tool": "export_tool", "method": "github",
        "params": {"repository_name": "pendulum", "description": "A pendulum", "artifacts": list(files)},
    }  # fmt: skip


def label(lab: Lab, path: Path, text: str) -> None:
    service.label_version(lab, str(path), text, "")


@pytest.fixture
def private(bench: Bench) -> Path:
    path = bench.folder / "private.csv"
    path.write_text("t,angle\n0,1\n")
    service.artifact_versioning(bench.lab, {"artifacts": [str(path)], "label": "private"}, bench.folder)
    return path


def test_nothing_runs_that_would_give_private_data_away(bench: Bench, private: Path) -> None:
    (bench.folder / "open.csv").write_text("t\n")
    before = len(bench.lab.store.records_of("run_begin"))
    with pytest.raises(
        ValidationError, match=r"out: export_tool.github makes .* 'private.csv': it is private"
    ) as raised:
        bench.run([paper("open.csv", "private.csv")])
    assert str(private) in raised.value.hint and raised.value.hint.endswith("open")
    assert len(bench.lab.store.records_of("run_begin")) == before
    assert bench.run([paper("open.csv")])["out"].status == "completed"
    sha256 = service.find_version(bench.lab, str(private)).version.content.sha256
    labels.label(bench.lab.store, [sha256], labels.Label("embargo", date(2001, 1, 1)), "me")  # its day has come
    assert bench.run([paper("open.csv", "private.csv")])["out"].status == "completed"


def test_a_result_from_before_the_label_is_no_way_around_it(bench: Bench, private: Path) -> None:
    label(bench.lab, private, "open")
    assert bench.run([paper("private.csv")])["out"].status == "completed"
    assert bench.run([paper("private.csv")])["out"].status == "cached"
    label(bench.lab, private, "embargo:2099-01-31")
    with pytest.raises(ValidationError, match="under embargo until 2099-01-31"):
        bench.run([paper("private.csv")])


def test_what_a_node_made_is_held_back_like_a_file(bench: Bench) -> None:
    nodes = [TABLE, paper("from:table.csv_path")]
    made = bench.run(nodes)
    digest = made.fields("table")["csv_path"]["$file"]["sha256"]
    service.label_version(bench.lab, digest, "private", "")
    with pytest.raises(ValidationError, match=r"'t\.csv': it is private"):
        bench.run(nodes)
    again = bench.run(nodes, refresh=["table"])  # at the beginning nobody knows what it will make
    assert again.statuses == {"table": "completed", "out": "failed"}
    assert "it is private" in str(again["out"].error)
    service.label_version(bench.lab, digest, "open", "")
    assert bench.run(nodes, refresh=["table"]).statuses == {"table": "completed", "out": "cached"}
