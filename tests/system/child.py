"""A process of its own that runs a graph and tells what happens, one line for each event.

python -m tests.system.child FOLDER SPEC WISHES
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil

from physlab import service
from physlab.errors import PhyslabError
from physlab.plugins import all_tools
from physlab.service import Conductor, run_request
from tests.unit import toys
from tests.unit.conftest import open_lab

ROOT = Path(__file__).parents[2]


def main(folder: str, spec: str, wishes: str) -> int:
    """Run the graph of a JSON file; return 0, 1 after an error of ours, 130 when interrupted."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # started in the background it would be ignored
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    toys.register(all_tools())
    say = os.fdopen(sys.stdout.fileno(), "wb", buffering=0).write
    try:
        with open_lab(Path(folder), **{"sites.local.workers": 2}) as lab:
            named = lab.find_dag(spec)
            conductor = Conductor(watch=lambda event: say(f"{event.status} {event.node_id}\n".encode()) and None)
            record = service.carry_out(lab, named, run_request(lab, parallelism=4, **json.loads(wishes)), conductor)
            say(f"end {record.status}\n".encode())
    except KeyboardInterrupt:
        return 130
    except PhyslabError as error:
        say(json.dumps(error.as_reply()).encode())
        return 1
    return 0


def start(folder: Path, nodes: Any, **wishes: Any) -> subprocess.Popen[str]:
    """Start such a process on a graph."""
    spec = folder / "spec.json"
    spec.write_text(json.dumps({"nodes": nodes}))
    command = [sys.executable, "-m", "tests.system.child", str(folder), str(spec), json.dumps(wishes)]
    env = {**os.environ, "DRILL": str(folder)}
    return subprocess.Popen(command, cwd=ROOT, env=env, text=True, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)


def relatives(folder: Path) -> list[psutil.Process]:
    """Return the living processes that such a process has started, wherever they went."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("DRILL") == str(folder) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def await_none(folder: Path) -> list[psutil.Process]:
    """Wait until none of them is left; return those that stay."""
    return psutil.wait_procs(relatives(folder), timeout=30)[1]


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
