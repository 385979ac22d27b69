"""What may not leave the lab, and the runs that were made from it, stay out of the repository and its remotes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from physlab import service
from physlab.errors import ValidationError
from physlab.lab import Lab
from physlab.model import RunRequest
from physlab.service.dvc import (
    add_remote,
    commit_runs,
    push_data,
    queued_runs,
)  # fmt: skip
from physlab.service.stages import export_pipeline
from physlab.versioning.labels import label, read_label
from tests.unit.conftest import node
from tests.unit.dvcrepo.conftest import git, read_map_of, run


def test_what_may_not_leave_is_named_and_nothing_is_written(lab: Lab) -> None:
    first = run(lab)
    [made] = commit_runs(lab, [first])
    add_remote(lab, "near", str(lab.settings.home / "near"), None, {})
    secret = run(lab, n=4077)
    path = next(iter(read_map_of(lab, secret)))

    sha256 = read_map_of(lab, secret)[path].removeprefix("sha256:")
    label(lab.store, [sha256], read_label("embargo:2099-01-31"), "me")
    with pytest.raises(ValidationError, match=f"{path}: it is under embargo until 2099-01-31"):
        commit_runs(lab, [secret])
    assert git(lab, "log", "-1", "--format=%s", "--", "runs") == made["subject"] and queued_runs(lab) == []
    label(lab.store, [sha256], read_label("open"), "me")
    commit_runs(lab, [secret])
    label(lab.store, [sha256], read_label("private"), "me")
    with pytest.raises(ValidationError, match="it is private"):
        push_data(lab)
    assert not (lab.settings.home / "near").exists()


def test_what_was_made_from_private_data_stays_too(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "private.txt").write_text("3.14159")
    (tmp_path / "open.txt").write_text("2.71828")

    def read_in(name: str) -> str:
        nodes = [node("text", "read", file=f"{name}.txt"), node("twice", "give", value="from:text.text")]
        spec = {"metadata": {"title": name}, "nodes": nodes}
        reply = service.run_dag(lab, spec, RunRequest(), base_dir=tmp_path)
        assert reply.error is None, reply.error
        return str(reply.body["run_id"])

    [sha256] = lab.store.digest_files([tmp_path / "private.txt"]).values()
    label(lab.store, [sha256], read_label("private"), "me")
    secret, shown = read_in("private"), read_in("open")
    with pytest.raises(ValidationError, match=r"what text.file takes: it is private"):
        commit_runs(lab, [secret])
    with pytest.raises(ValidationError, match=r"private.txt: it is private"):
        export_pipeline(lab, read_spec("private"), tmp_path / "pipe", tmp_path)
    assert not (tmp_path / "pipe").exists()
    label(lab.store, [sha256], read_label("open"), "me")
    commit_runs(lab, [secret, shown])
    add_remote(lab, "near", str(tmp_path / "near"), None, {})
    label(lab.store, [sha256], read_label("private"), "me")
    with pytest.raises(ValidationError, match="1 of the committed runs may not leave") as raised:
        push_data(lab)
    assert raised.value.hint.endswith("physlab dvc push --without-held") and not (tmp_path / "near").exists()
    done = push_data(lab, without_held=True)
    assert done["held"] == {"runs/private": "what text.file takes: it is private"} and done["files"] == 0


def read_spec(name: str) -> dict[str, Any]:
    return {"nodes": [node("text", "read", file=f"{name}.txt")]}
