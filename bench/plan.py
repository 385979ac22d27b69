"""What planning costs: read, validate, keys, hit or miss, for graphs of up to 100,000 nodes.

python bench/plan.py [1000 10000 100000]
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from workload import Clock, cpu_s, graph, in_own_process, number, peak_mb, table


def one(n: int) -> None:
    """Plan one graph on an empty store and print the figures."""
    from physlab.lab import Lab
    from physlab.settings import load_settings

    spec = graph(n)
    with tempfile.TemporaryDirectory() as home, Lab(load_settings(overrides={"home": home})) as lab:
        assert lab.registry.tools and lab.store
        with Clock() as read:
            named = lab.read(spec, Path())
        with Clock() as check:
            checked = lab.check(named)
        checked.require()
        with Clock() as plan:
            planned = lab.plan(checked)
        print(
            json.dumps(
                {
                    "n": n,
                    "read_s": read.cpu_s,
                    "validate_s": check.cpu_s,
                    "plan_s": plan.cpu_s,
                    "both_s": check.cpu_s + plan.cpu_s,
                    "misses": planned.count("miss") + planned.count("pending"),
                    "peak_mb": peak_mb(),
                    "total_cpu_s": cpu_s(),
                }
            )
        )


def main(sizes: list[int]) -> None:
    """Measure each size in its own process."""
    rows = [in_own_process(__file__, "one", str(n)) for n in sizes]
    for row in rows:
        if "error" in row:
            print(row["error"])
    table(
        [row for row in rows if "error" not in row],
        {
            "nodes": lambda row: f"{row['n']:,}",
            "read CPU s": number("read_s"),
            "validate CPU s": number("validate_s"),
            "keys+look-up CPU s": number("plan_s"),
            "validate+plan CPU s": number("both_s"),
            "peak MB": number("peak_mb", 0),
        },
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["one"]:
        one(int(sys.argv[2]))
    else:
        main([int(n) for n in sys.argv[1:]] or [1_000, 10_000, 100_000])
