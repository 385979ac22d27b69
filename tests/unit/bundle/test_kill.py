"""kill -9 while a bundle is opened or made: what is there is whole, and the same command goes on."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from physlab.bundle import Made, check_bundle, open_bundle
from physlab.lab import Lab
from physlab.store import open_store
from tests.unit.bundle.dying import KEY

ROOT = Path(__file__).resolve().parents[3]


def dying(work: str, step: int, *names: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.unit.bundle.dying", work, str(step), *map(str, names)]
    return subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )


def objects(home: Path) -> set[str]:
    return {path.name for path in (home / "store" / "objects").rglob("*") if path.is_file()}


@pytest.mark.drill
def test_s18_killed_while_opening(bundle: Made, tmp_path: Path, drill_seed: int) -> None:
    clean = tmp_path / "clean"
    whole = dying("open", 0, clean, bundle.path)
    assert whole.returncode == 0, whole.stderr
    steps, rng = int(whole.stdout), random.Random(drill_seed)
    assert steps > 20
    for number, step in enumerate(sorted(rng.sample(range(1, steps + 1), 2))):
        home = tmp_path / f"killed-{number}"
        assert dying("open", step, home, bundle.path).returncode == -9
        with open_store(home / "store") as store:
            assert list(store.verify()) == [], f"killed at step {step} of {steps}"
            store.refresh()
            runs = store.records_of("run")
            assert len(runs) in (0, 1)
            assert not runs or objects(home) == objects(clean), "what a lab says of a run, it has"
            open_bundle(store, bundle.path, home / "bundles", {KEY.public.line})
            assert list(store.verify()) == [] and len(store.records_of("run", "received")) == 2
        assert objects(home) == objects(clean)
        assert not (home / "bundles" / "incoming").exists()


@pytest.mark.drill
def test_killed_while_making(bundle: Made, one: Lab, tmp_path: Path, drill_seed: int) -> None:
    home, dag = tmp_path / "one" / "home", bundle.manifest.dag_id
    whole = dying("make", 0, home, tmp_path / "whole.zip", dag)
    assert whole.returncode == 0, whole.stderr
    step = random.Random(drill_seed).randrange(1, int(whole.stdout) + 1)
    target = tmp_path / "killed.zip"
    assert dying("make", step, home, target, dag).returncode == -9
    if target.exists():
        check_bundle(target)
    else:
        assert dying("make", 0, home, target, dag).returncode == 0
    assert target.read_bytes() == (tmp_path / "whole.zip").read_bytes()
