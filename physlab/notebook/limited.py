"""Work on what strangers wrote, in a child that has little memory, little time, no secrets, and may die."""

from __future__ import annotations

import importlib
import resource
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from physlab.dvcrepo.programs import own_path
from physlab.errors import ComputationError, PhyslabError, from_reply
from physlab.settings import child_environment
from physlab.tools.process import describe_exit, run_process

TASKS = ("physlab.notebook.thumbnails.look", "physlab.notebook.paper.press")
"""Modules with a function `work`: an order, and the folder where it may write, to a reply."""
ORDER, REPLY, LOG = "order.json", "reply.json", "log"
_KEPT = ("HOME", "LANG", "LD_LIBRARY_PATH", "PATH", "VIRTUAL_ENV", "XDG_CACHE_HOME")
_EVERYTHING = ("",)


@dataclass(frozen=True)
class Limits:
    """What a child may use.

    Attributes:
        memory_gb: Memory that it writes to [GB].
        cpu_s: Time at work [s].
        wall_s: Time until it is killed [s].
        file_gb: Size of a file that it writes [GB].
    """

    memory_gb: float = 2.0
    cpu_s: int = 60
    wall_s: float = 180.0
    file_gb: float = 1.0


def run_limited(task: str, order: Mapping[str, Any], folder: Path, limits: Limits) -> dict[str, Any]:
    """Do a task in a child of limited means.

    Args:
        task: One of `TASKS`.
        order: JSON values that it gets.
        folder: Where it works and writes; empty.
        limits: What it may use.

    Returns:
        Its reply.

    Raises:
        PhyslabError: What the task raised.
        TimeLimitError: It took too long.
        ComputationError: It died.
    """
    bounds = {"memory_gb": limits.memory_gb, "cpu_s": limits.cpu_s, "file_gb": limits.file_gb}
    (folder / ORDER).write_bytes(orjson.dumps({"task": task, "order": order, "limits": bounds}))
    before = child_environment({})
    kept = {name: before[name] for name in _KEPT if name in before}
    environment = child_environment(
        {**kept, **own_path(), "TMPDIR": str(folder), "LC_ALL": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}, _EVERYTHING
    )
    words = [sys.executable, "-P", "-m", "physlab.notebook.limited", ORDER]
    code = run_process(words, cwd=folder, env=environment, log=folder / LOG, limit_s=limits.wall_s)
    reply = folder / REPLY
    if code or not reply.is_file():
        said = " ".join((folder / LOG).read_text(errors="replace").split())[-300:]
        raise ComputationError(
            f"The child for {task.rpartition('.')[2]} ended with {describe_exit(code)}: {said or 'it said nothing'}.",
            hint=f"It may use {limits.memory_gb:g} GB and {limits.cpu_s} s; a smaller file needs less.",
        )
    told: dict[str, Any] = orjson.loads(reply.read_bytes())
    if "code" in told:
        raise from_reply(told)
    return told


def main(order: Path) -> None:
    """Do the task of an order in this process, within its limits."""
    told = orjson.loads(order.read_bytes())
    if told["task"] not in TASKS:
        raise ComputationError(f"'{told['task']}' is no task.", hint=f"Tasks: {', '.join(TASKS)}.")
    _limit(told["limits"])
    try:
        reply = importlib.import_module(told["task"]).work(told["order"], Path.cwd())
    except PhyslabError as error:
        reply = error.as_reply()
    Path(REPLY).write_bytes(orjson.dumps(reply))


def _limit(bounds: Mapping[str, Any]) -> None:
    wanted = {
        resource.RLIMIT_DATA: int(bounds["memory_gb"] * 1e9), resource.RLIMIT_CPU: int(bounds["cpu_s"]),
        resource.RLIMIT_FSIZE: int(bounds["file_gb"] * 1e9), resource.RLIMIT_CORE: 0,
    }  # fmt: skip
    for kind, value in wanted.items():
        hard = resource.getrlimit(kind)[1]
        most = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (most, most))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
