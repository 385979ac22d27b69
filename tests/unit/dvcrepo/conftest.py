"""A lab whose runs are committed, and short words for what is done with it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from physlab import service
from physlab.lab import Lab
from physlab.model import RunRequest
from physlab.service.dvc import (
    repository_of,
)  # fmt: skip
from tests.unit.conftest import node, open_lab


@pytest.fixture
def lab(tmp_path: Path, toy_tools: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    """A lab of somebody whom Git does not know."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
    with open_lab(tmp_path) as opened:
        yield opened


def run(lab: Lab, n: int = 4000, title: str = "Rows of numbers", **more: Any) -> str:
    nodes = [node("rows", "array", n=n, **more), node("twice", "add", a="from:rows.total", b=1)]
    spec = {"metadata": {"title": title}, "nodes": nodes}
    reply = service.run_dag(lab, spec, RunRequest())
    assert reply.error is None, reply.error
    return str(reply.body["run_id"])


def git(lab: Lab, *words: str) -> str:
    folder = repository_of(lab).folder
    return subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


def read_map_of(lab: Lab, run_id: str) -> dict[str, str]:
    from physlab.dvcrepo import show_run

    record = lab.find_run(run_id)
    return show_run(record, lab.find_dag(record.dag_id).dag, lab.store).files
