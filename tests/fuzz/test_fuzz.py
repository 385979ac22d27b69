"""Fuzz the readers of foreign text, guided by coverage; `make drill` does so with many seeds."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz import fuzz_seeds

pytest.importorskip("atheris", reason="the extra `fuzz` is not installed: pip install 'physlab[fuzz]'")
pytestmark = pytest.mark.drill
DRIVER = Path(__file__).with_name("fuzz.py")
RUNS = 3000


@pytest.mark.parametrize("target", ["formula", "name", "payload"])
def test_nothing_but_our_errors(tmp_path: Path, target: str, drill_seed: int) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for number, text in enumerate(fuzz_seeds.SEEDS[target]):
        (corpus / str(number)).write_text(text if isinstance(text, str) else json.dumps(text), encoding="utf-8")
    runs = RUNS if drill_seed < 2 else 5 * RUNS  # the first two seeds are those of the suite
    done = subprocess.run(
        [sys.executable, str(DRIVER), target, str(corpus), f"-seed={drill_seed + 1}", f"-runs={runs}", "-max_len=400",
         "-timeout=10", f"-artifact_prefix={tmp_path}/"],
        capture_output=True, text=True, errors="replace", cwd=tmp_path, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
