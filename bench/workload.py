"""The graph that every benchmark runs: layers of ten nodes, each with two edges, each adding nothing but its record.

A node converts a length from metre to metre: real validation, a real key, a real result, almost no physics. Its seed
makes every key different, so that nothing is found by accident.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

Row = dict[str, Any]


def upstream(i: int) -> list[int]:
    """Return the nodes that node i depends on."""
    if i < 10:
        return []
    row = (i // 10 - 1) * 10
    return [row + i % 10, row + (i + 1) % 10]


def graph(n: int) -> dict[str, Any]:
    """Return the specification of n nodes."""
    nodes = []
    for i in range(n):
        needs = upstream(i)
        value = f"from:n{needs[0]}.output.value" if needs else float(i + 1)
        nodes.append(
            {
                "id": f"n{i}",
                "tool": "units_convert",
                "params": {"quantity": {"value": value, "unit": "m"}, "to": "m"},
                "dependencies": [f"n{d}" for d in needs],
                "seed": i,
            }
        )
    return {"title": f"bench {n}", "nodes": nodes}


def cpu_s() -> float:
    """Return user + system time of this process and the children it waited for [s]."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def peak_mb() -> float:
    """Return the largest resident size of this process so far [MB]."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


class Clock:
    """Wall and CPU time of a block."""

    def __enter__(self) -> Clock:
        self._wall, self._cpu = time.perf_counter(), cpu_s()
        return self

    def __exit__(self, *_: object) -> None:
        self.wall_s, self.cpu_s = time.perf_counter() - self._wall, cpu_s() - self._cpu


def in_own_process(script: str, *arguments: str, env: dict[str, str] | None = None) -> Row:
    """Run a benchmark's part in a fresh interpreter; it prints one JSON object as its last line."""
    clock = time.perf_counter()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, script, *arguments],
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not lines:
        words = (done.stderr.strip() or done.stdout.strip()).splitlines()
        return {"error": words[-1][:160] if words else f"exit status {done.returncode}"}
    row: Row = json.loads(lines[-1])
    row["process_s"] = time.perf_counter() - clock
    row["process_cpu_s"] = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return row


def table(rows: list[Row], columns: dict[str, Callable[[Row], str]]) -> None:
    """Print rows side by side."""
    cells = [list(columns)] + [[make(row) for make in columns.values()] for row in rows]
    widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
    for line in cells:
        print("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())


def number(name: str, digits: int = 2) -> Callable[[Row], str]:
    """Return a column that shows a number, or nothing where there is none."""
    return lambda row: f"{row[name]:.{digits}f}" if isinstance(row.get(name), int | float) else "-"
