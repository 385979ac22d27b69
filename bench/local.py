"""This machine: what a worker process adds to a node, how well chains overlap, the exemplar, a film.

python bench/local.py
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
from workload import Clock, in_own_process

ROOT = Path(__file__).resolve().parents[1]
NAP_S, CHAINS, LINKS = 0.2, 4, 10


def carry_out(spec: dict[str, Any], folder: Path, parallelism: int, workers: int) -> Clock:
    """Run a graph without Prefect, after one node that starts the workers' imports."""
    from physlab import service
    from physlab.lab import Lab
    from physlab.settings import load_settings

    overrides = {"home": str(folder / "home"), "sites": {"local": {"workers": workers}}}
    with Lab(load_settings(overrides=overrides)) as lab:
        named = lab.read(spec, folder)
        with Clock() as clock:
            record = service.carry_out(
                lab, named, lab.settings.run.request(parallelism=parallelism), service.Conductor()
            )
        assert record.status == "completed", record.nodes
        clock.durations_ms = [node.duration_ms for node in record.nodes]  # type: ignore[attr-defined]
    return clock


def pool() -> dict[str, float]:
    """Compare the same piece of work executed here and in a warm worker process (medians)."""
    from physlab.model import Resources, Visuals, Work
    from physlab.sites import LocalSite
    from physlab.store import open_store
    from physlab.tools import load_tools
    from physlab.tools.execute import execute

    assert not load_tools().find("cas", "diff").inline
    with tempfile.TemporaryDirectory() as folder, open_store(Path(folder)):
        work = Work(
            key="0" * 64,
            label="diff",
            tool="cas",
            method="diff",
            params={"expr": "x", "symbol": "x"},
            visuals=Visuals(static=False, series=False, animation=False),
            seed=0,
            device="cpu",
            time_limit_s=60.0,
            resources=Resources(),
            store=folder,
        )
        site = LocalSite(Path(folder), 1)

        def median(call: Any) -> float:
            times = []
            for _ in range(220):
                with Clock() as clock:
                    call()
                times.append(clock.wall_s * 1e3)
            return sorted(times[20:])[100]

        try:
            return {"here": median(lambda: execute(work)), "in a worker": median(lambda: site.submit(work).result())}
        finally:
            site.close()


def chains() -> dict[str, float]:
    """Run four independent chains of naps on four workers; the ideal is the length of one chain."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "nap.py").write_text(
            "import time\n\ndef nap(s, before=None):\n    time.sleep(s)\n    return s\n"
        )
        nodes = [
            {
                "id": f"c{chain}_{link}",
                "tool": "python",
                "params": {
                    "module": "nap.py",
                    "function": "nap",
                    "arguments": {"s": NAP_S, **({"before": f"from:c{chain}_{link - 1}.result"} if link else {})},
                },
                "seed": chain * LINKS + link,
            }
            for chain in range(CHAINS)
            for link in range(LINKS)
        ]
        clock = carry_out({"nodes": nodes}, Path(folder), CHAINS, CHAINS)
        starts = clock.durations_ms[0] / 1e3 - NAP_S  # type: ignore[attr-defined]
    ideal = NAP_S * LINKS
    return {
        "ideal_s": ideal,
        "wall_s": clock.wall_s,
        "worker_start_s": starts,
        "ratio": (clock.wall_s - starts) / ideal,
    }


def exemplar() -> list[dict[str, float]]:
    """Run examples/hydrogen_2p.yaml as a user does, cold and warm, the server being up."""
    figures = []
    with tempfile.TemporaryDirectory() as folder:
        env = {**os.environ, "PHYSLAB_HOME": f"{folder}/home"}
        command = [str(Path(sys.executable).parent / "physlab")]
        subprocess.run([*command, "server", "up"], env=env, check=True, capture_output=True)
        try:
            for _ in ("cold", "warm"):
                with Clock() as clock:
                    run = [*command, "run", str(ROOT / "examples" / "hydrogen_2p.yaml"), "--json"]
                    subprocess.run(run, env=env, cwd=folder, check=True, capture_output=True)
                figures.append({"wall_s": clock.wall_s, "cpu_s": clock.cpu_s})
        finally:
            subprocess.run([*command, "server", "down"], env=env, check=True, capture_output=True)
    return figures


def film() -> None:
    """Make a film of 300 frames in this process and print the figures."""
    from physlab.model import Visuals
    from physlab.tools import load_tools
    from physlab.tools.call import call_method
    from physlab.tools.context import Context

    with tempfile.TemporaryDirectory() as folder:
        wanted = Visuals(static=False, series=False, animation=True)
        params = {"frame_expr": "sin(x - t)", "t_range": [0, 6.28, 300], "x_range": [-5, 5, 200], "renderer": "line"}
        with Clock() as clock:
            call_method(load_tools().find("plot", "animation"), params, Context(lambda: Path(folder), wanted))
    print(json.dumps({"wall_s": clock.wall_s, "cpu_s": clock.cpu_s}))


def main() -> None:
    """Measure everything and print it."""
    light = pool()
    added = light["in a worker"] - light["here"]
    print(f"a node here {light['here']:.2f} ms, in a warm worker {light['in a worker']:.2f} ms: adds {added:.2f} ms")
    lines = chains()
    print(
        f"{CHAINS} chains of {LINKS} naps: ideal {lines['ideal_s']:.2f} s, run {lines['wall_s']:.2f} s of which "
        f"{lines['worker_start_s']:.2f} s start the workers: {lines['ratio']:.2f} x the ideal"
    )
    cold, warm = exemplar()
    for name, clock in (("cold", cold), ("warm", warm)):
        print(f"exemplar {name} {clock['wall_s']:.1f} s ({clock['cpu_s']:.1f} s CPU)")
    frames = in_own_process(__file__, "film")
    print(f"film of 300 frames {frames['wall_s']:.1f} s ({frames['cpu_s']:.1f} s CPU)")
    program = Path(sys.executable).parent / "physlab"
    with Clock() as helped:
        subprocess.run([program, "--help"], check=True, capture_output=True)
    print(f"physlab --help {helped.wall_s:.2f} s ({helped.cpu_s:.2f} s CPU)")


if __name__ == "__main__":
    film() if sys.argv[1:2] == ["film"] else main()
