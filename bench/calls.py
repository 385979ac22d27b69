"""What one tool call costs: `physlab call -` as a whole process, and answered by a process that stays.

    python bench/calls.py

"first" is a call whose result is not there yet, "again" the same call from the cache. The process that stays answers
through the same door as the command (`service.answer`), with another value each time for the first.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
from workload import number, table

CALLS: dict[str, Callable[[int], dict[str, Any]]] = {
    "constants_get": lambda i: {"tool": "constants_get", "name": ("c", "h", "e", "G", "k_B", "m_e", "m_p")[i % 7]},
    "units_convert": lambda i: {"tool": "units_convert", "quantity": {"value": 1.0 + i, "unit": "eV"}, "to": "J"},
    "cas.diff": lambda i: {"tool": "cas", "method": "diff", "expr": f"sin({i + 1}*x)^2", "symbol": "x"},
}
TIMES = 5


def process_s(payload: dict[str, Any], home: str) -> float:
    """Return the wall time of one `physlab call -` [s]."""
    program = Path(sys.executable).with_name("physlab")
    clock = time.perf_counter()
    subprocess.run(
        [program, "call", "-"],
        input=json.dumps(payload),
        text=True,
        env={**os.environ, "PHYSLAB_HOME": home},
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return time.perf_counter() - clock


def answered_ms(calls: list[dict[str, Any]], home: str) -> list[float]:
    """Return how long a process that stays takes for each call [ms]."""
    from physlab import service
    from physlab.lab import Lab
    from physlab.settings import load_settings
    from physlab.spelling import read_call

    found = []
    with Lab(load_settings(overrides={"home": home})) as lab:
        for payload in calls:
            clock = time.perf_counter()
            service.answer(lab, read_call(payload, lab.vocabulary), Path())
            found.append(1e3 * (time.perf_counter() - clock))
    return found


def main() -> None:
    """Measure each call."""
    rows = []
    for name, call in CALLS.items():
        with tempfile.TemporaryDirectory() as home:
            first = process_s(call(0), home)
            again = median(process_s(call(0), home) for _ in range(TIMES))
            new = answered_ms([call(i) for i in range(7)], home)
            kept = answered_ms([call(0)] * 50, home)
        rows.append(
            {
                "call": name,
                "first_s": first,
                "again_s": again,
                "new_ms": median(new[2:]),
                "kept_ms": median(kept[2:]),
            }
        )
    table(
        rows,
        {
            "call": lambda row: row["call"],
            "process, first s": number("first_s", 2),
            "again s": number("again_s", 2),
            "staying process, first ms": number("new_ms", 2),
            "again ms": number("kept_ms", 2),
        },
    )


if __name__ == "__main__":
    main()
