"""`artifact_versioning` as the contract and the seed documents spell it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from physlab import service
from physlab.errors import ConfigurationError, ValidationError
from physlab.keys import digest_bytes
from physlab.service import Reply
from physlab.spelling import read_call
from physlab.versioning.history import find, log
from tests.unit.conftest import Bench, node, open_lab

SEED = """{
  "tool": "distributed_collaboration",
  "params": {
    "action": "artifact_versioning",
    "artifact_path": "results/analysis_2024_01_15.png",
    "metadata": {
      "experiment": "quantum_oscillator",
      "parameters": {"mass": 1.0, "frequency": 2.0},
      "tools_used": ["plot", "quantum"],
      "commit_hash": "abc123def456"
    },
    "lineage": ["raw_data.csv", "processed_data.h5"]
  }
}"""


def answer(bench: Bench, payload: Any) -> Reply:
    return service.answer(bench.lab, read_call(payload, bench.lab.vocabulary), bench.folder)


def write(bench: Bench, *names: str) -> None:
    for name in names:
        path = bench.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)


def test_the_seed_word_for_word(bench: Bench) -> None:
    write(bench, "results/analysis_2024_01_15.png", "raw_data.csv", "processed_data.h5")
    body = answer(bench, json.loads(SEED)).as_object()
    [record] = body["records"]
    assert record["artifact"] == "results/analysis_2024_01_15.png" and body["meta"]["cached"] is False
    assert record["hash"] == "sha256:" + digest_bytes(b"results/analysis_2024_01_15.png")
    assert len(record["lineage_id"]) == 16 and record["code_version"] == "abc123def456"
    version = find(bench.lab.store, "analysis_2024_01_15.png", bench.folder).version
    assert [Path(str(parent.path)).name for parent in version.parents] == ["raw_data.csv", "processed_data.h5"]
    assert version.metadata == {"experiment": "quantum_oscillator", "tools_used": ["plot", "quantum"]}
    assert version.params == {"mass": 1.0, "frequency": 2.0}
    again = answer(bench, json.loads(SEED)).as_object()
    assert again["meta"]["cached"] is True and again["records"][0]["lineage_id"] == record["lineage_id"]


def test_the_contract(bench: Bench) -> None:
    write(bench, "a.png", "b.csv")
    parent = "sha256:" + digest_bytes(b"b.csv")
    answer(bench, {"tool": "distributed_collaboration", "method": "artifact_versioning", "artifacts": ["b.csv"]})
    payload = {"method": "artifact_versioning", "artifacts": ["a.png"], "parents": [parent], "params_json": {"n": 1},
               "code_version": "12345678", "tool": "distributed_collaboration"}  # fmt: skip
    body = answer(bench, payload).as_object()
    assert body.keys() == {"records", "meta"} and body["records"][0].keys() >= {"artifact", "hash", "lineage_id"}
    version = find(bench.lab.store, "a.png", bench.folder).version
    assert version.params == {"n": 1} and version.code.version == "12345678" and version.parents[0].version


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({}, "name at least one"),
        ({"artifacts": []}, "name at least one"),
        ({"artifacts": ["lost.png"]}, "lost.png"),
        ({"artifacts": ["a"], "parents": ["sha256:12"]}, "'12' is not a SHA-256"),
        ({"artifacts": ["a"], "backup_schedule": "daily"}, "belong to auto_backup"),
        ({"artifacts": ["a"], "auto_backup": True}, "leave artifacts out"),
        ({"artifacts": ["a"], "params_json": {"n": 1}, "metadata": {"parameters": {"n": 2}}}, "say different things"),
        ({"artifacts": ["a"], "unknown": 1}, "unknown"),
        ({"artifacts": ["a", "b"], "tag": "paper"}, "one artifact"),
        ({"artifacts": ["a"], "tag": "not a tag"}, "cannot be a tag"),
        ({"artifacts": ["a"], "label": "secret"}, "no label"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_registered(bench: Bench, params: dict[str, Any], said: str) -> None:
    write(bench, "a", "b")
    payload = {"tool": "distributed_collaboration", "method": "artifact_versioning", **params}
    with pytest.raises(ValidationError, match=said):
        answer(bench, payload)
    assert log(bench.lab.store) == [] and not list(bench.lab.store.records_of("tag"))


def test_a_node_registers_what_came_before(bench: Bench) -> None:
    draw = node("draw", "draw", write=["static"])
    steps = [draw, {"id": "keep", "tool": "distributed_collaboration", "action": "artifact_versioning",
                    "results": "from:draw"}]  # fmt: skip
    outcome = bench.run({"metadata": {"title": "Two steps"}, "nodes": steps})
    assert outcome.statuses == {"draw": "completed", "keep": "completed"}
    [record] = outcome.fields("keep")["records"]
    assert record["artifact"] == "two-steps/results.json"
    value = bench.run([node("give", "give", value={"n": [1, 2]}), {**steps[1], "results": "from:give.value"}])
    [record] = value.fields("keep")["records"]
    sha256 = record["hash"].removeprefix("sha256:")
    assert json.loads(bench.lab.store.blobs.read(sha256)) == {"n": [1, 2]}


def test_the_seed_of_backups_word_for_word(tmp_path: Path, toy_tools: None) -> None:
    payload = json.loads("""{
      "tool": "distributed_collaboration",
      "params": {
        "action": "artifact_versioning",
        "auto_backup": true,
        "backup_schedule": "daily",
        "retention_policy": "30_days"
      }
    }""")
    with open_lab(tmp_path) as lab, pytest.raises(ConfigurationError, match="No repository is set"):
        answer(Bench(lab, tmp_path), payload)
    with open_lab(tmp_path, **{"backup.repository": str(tmp_path / "backups")}) as lab:
        found = answer(Bench(lab, tmp_path), payload).body["backup"]
        assert (found["schedule"], found["retention"]) == ("daily", "30 days") and found["cron"].endswith("* * *")
        assert found["deployment"] is None and found["cron"] in found["how"], "no server: a line for the crontab"
        assert [record["retention"] for record in lab.store.records_of("backup_policy")] == ["30 days"]


def test_tags_and_labels_come_with_it(bench: Bench) -> None:
    write(bench, "a")
    payload = {"tool": "distributed_collaboration", "method": "artifact_versioning", "artifacts": ["a"],
               "tag": "first", "label": "embargo:2099-01-01"}  # fmt: skip
    answer(bench, payload)
    assert find(bench.lab.store, "first", bench.folder).name == "a@1"
    assert service.all_labels(bench.lab)[0]["labels"] == ["embargo:2099-01-01"]
