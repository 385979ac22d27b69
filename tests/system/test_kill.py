"""kill -9 at any moment loses nothing that was acknowledged and leaves nothing running."""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Any

import pytest

from tests.system.child import await_none, start
from tests.unit.conftest import Bench, node, open_lab

USER = Path(__file__).parents[1] / "unit" / "user_code.py"
pytestmark = pytest.mark.drill


def graph() -> list[Any]:
    """30 quick nodes: arrays and files in the store, chains, equal nodes, and a few in worker processes."""
    nodes = [node(f"array{i}", "array", n=300 + i, **({"numbers": f"from:array{i - 4}.array"} if i > 3 else {}))
             for i in range(14)]  # fmt: skip
    nodes += [node(f"value{i}", "give", value=[i // 2, f"from:array{i}.total"]) for i in range(6)]
    declared = {"visual_outputs": {"static": True, "series": True}}
    nodes += [node(f"draw{i}", "draw", (f"value{i}",), declared, write=["static", "series"]) for i in range(6)]
    for i in range(4):
        call = {
            "module": str(USER),
            "function": "overlap",
            "arguments": {"folder": ".", "name": f"p{i}", "until": 0.02},
        }
        nodes.append({"id": f"python{i}", "tool": "python", "params": call, "dependencies": [f"array{i}"]})
    return nodes


def told(line: str) -> set[str]:
    """Return the node that a line says to be done."""
    status, name = line.split()
    return {name} if status in ("completed", "cached") else set()


def test_nothing_acknowledged_is_lost(tmp_path: Path, toy_tools: None, drill_seed: int) -> None:
    choose = random.Random(drill_seed)
    nodes, acknowledged = graph(), set[str]()
    for _ in range(3):
        with start(tmp_path, nodes) as child:
            assert child.stdout is not None
            left = choose.randrange(2 * len(nodes))
            for line in child.stdout:
                acknowledged.update(told(line))
                left -= 1
                if left < 0:
                    break
            time.sleep(choose.random() * choose.choice((0.0, 0.01, 0.1)))
            child.kill()
            for line in child.stdout:  # what it had said before it died
                acknowledged.update(told(line))
        assert await_none(tmp_path) == []
        with open_lab(tmp_path) as lab:
            assert list(lab.store.verify()) == []
            states = Bench(lab, tmp_path).states(nodes)
            assert {name for name in acknowledged if states.get(name) != "hit"} == set()
            assert {row["status"] for row in lab.runs()} <= {"interrupted", "completed"}
    with open_lab(tmp_path) as lab:
        outcome = Bench(lab, tmp_path).run(nodes)
        assert outcome.record.status == "completed"
        assert {name for name in acknowledged if outcome[name].status != "cached"} == set()
        assert list(lab.store.verify()) == []
        assert lab.store.reindex() == len(list(lab.store.journal.replay()))
        assert not any(child for child in (lab.store.root / "scratch").iterdir())
