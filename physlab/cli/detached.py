"""Runs in the background: started with `run --detach`, followed with `attach`, ended with `stop`.

Such a run writes `home/runs/<run id>.jsonl`: who runs it, the nodes, every change of state, and its reply at the end.
"""

from __future__ import annotations

import json as jsonlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from physlab.cli.options import Json, RunArgument
from physlab.cli.output import quoted, voice

if TYPE_CHECKING:
    from physlab.engine.watch import Watcher
    from physlab.planning import Plan
    from physlab.run import Event
    from physlab.settings import Settings

POLL_S = 0.1
STOP_S = 30.0


def events_of(settings: Settings, run_id: str) -> Path:
    """Return the file in which a run in the background tells its events."""
    return settings.home / "runs" / f"{run_id}.jsonl"


class EventFile:
    """Writes what happens in this run, one JSON object a line.

    Args:
        run_id: The run.
    """

    def __init__(self, run_id: str) -> None:
        from physlab.settings import load_settings

        self.run_id = run_id
        self._stream = events_of(load_settings(), run_id).open("a", encoding="utf-8")
        self._guard = threading.Lock()

    def beside(self, watcher: Watcher) -> Watcher:
        """Return a watcher that also writes down what it hears."""
        from physlab.engine.watch import Watcher

        def planned(run_id: str, plan: Plan) -> None:
            watcher.planned(run_id, plan)
            nodes = [[node.id, node.checked.method.full_name] for node in plan.nodes.values()]
            self._write(event="planned", nodes=nodes)

        def changed(event: Event) -> None:
            watcher.changed(event)
            name, status, error, ms = event.node_id, event.status, event.error, event.duration_ms
            self._write(event="node", node=name, status=status, error=error, duration_ms=ms)

        return Watcher(planned, changed)

    def ended(self, reply: dict[str, Any]) -> None:
        """Write the last line."""
        self._write(event="end", reply=reply)

    def _write(self, **line: Any) -> None:
        with self._guard:
            self._stream.write(jsonlib.dumps(line, default=str) + "\n")
            self._stream.flush()

    def __enter__(self) -> EventFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        from physlab.errors import CancelledError, PhyslabError

        if isinstance(error, PhyslabError):
            self.ended({"error": error.as_reply()})
        elif error is not None:
            self.ended({"error": CancelledError("The run was stopped.", hint=voice.parting).as_reply()})
        self._stream.close()


def start(dag: str, wishes: dict[str, Any], *, report: bool, no_server: bool) -> int:
    """Start a run in the background, after the graph was found right."""
    from physlab.lab import Lab, new_run_id
    from physlab.settings import load_settings
    from physlab.store.lease import name_process

    settings, run_id = load_settings(), new_run_id()
    with Lab(settings) as lab:
        named = lab.find_dag(dag)
        lab.check(named).require()
        lab.remember(named)
    events = events_of(settings, run_id)
    events.parent.mkdir(parents=True, exist_ok=True)
    switches = {"--report": report, "--no-server": no_server}
    options = [*_spelled(wishes), *(name for name, wanted in switches.items() if wanted)]
    with events.with_suffix(".log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "physlab", "--quiet", "run", dag, "--detached-as", run_id, *options],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    title = named.dag.title or named.dag_id
    with events.open("a", encoding="utf-8") as stream:
        begin = {"event": "begin", "run_id": run_id, "title": title, "dag": dag, "process": name_process(process.pid)}
        stream.write(jsonlib.dumps(begin) + "\n")
    if voice.as_json:
        voice.reply({"run_id": run_id, "pid": process.pid, "events": str(events)})
        return 0
    voice.fact("run", f"{run_id}, in the background")
    voice.next(f"physlab attach {run_id}")
    voice.next(f"physlab stop {run_id}", "or")
    return 0


def _spelled(wishes: dict[str, Any]) -> list[str]:
    """Return the wishes as options again."""
    words: list[str] = []
    for option, name in (
        ("--parallelism", "parallelism"),
        ("--offload-policy", "offload_policy"),
        ("--site", "site"),
        ("--session", "session"),
    ):
        if wishes[name] is not None:
            words += [option, str(wishes[name])]
    if wishes["refresh"] is True:
        words.append("--refresh")
    for node in wishes["refresh"] if isinstance(wishes["refresh"], list) else ():
        words += ["--refresh-node", node]
    if wishes["fail_fast"] is not None:
        words.append("--fail-fast" if wishes["fail_fast"] else "--keep-going")
    return words


def attach(run: RunArgument, json: Json = False) -> int:
    """Follow a run in the background.

    Ctrl-C leaves it running. Exit code: as that of the run.
    """
    from physlab.cli.outcome import show_outcome

    path = _find(run)
    voice.parting = f"The run goes on in the background. Again: physlab attach {path.stem}"
    reply = _follow(path)
    if reply is None:
        raise _silent(path)
    if voice.as_json:
        voice.reply(reply)
    elif "run_id" in reply:
        show_outcome(reply)
    else:
        from physlab.cli.output import show_problem

        show_problem(reply["error"]["message"], reply["error"]["hint"])
    return 1 if "error" in reply else 0


def _follow(path: Path) -> dict[str, Any] | None:
    """Show a run until its end; return its reply, None when its process ended without one."""
    from physlab.cli.live import View
    from physlab.run import Event

    view, run_id = View(), path.stem
    try:
        for line in _lines(path):
            if line["event"] == "begin":
                view.title = line["title"]
            elif line["event"] == "planned":
                view.begin(run_id, [(name, tool) for name, tool in line["nodes"]])
            elif line["event"] == "node":
                view.changed(Event(line["node"], line["status"], line["error"], line["duration_ms"]))
            else:
                return dict(line["reply"])
        return None
    finally:
        view.end()


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the events of a run as they come, until its process has ended."""
    from physlab.store.lease import has_ended

    process: dict[str, Any] | None = None
    with path.open(encoding="utf-8") as stream:
        part = ""
        while True:
            gone = process is not None and has_ended(process)
            while text := stream.readline():
                part += text
                if part.endswith("\n"):
                    line, part = jsonlib.loads(part), ""
                    process = line.get("process", process)
                    yield line
            if gone:
                return
            time.sleep(POLL_S)


def _silent(path: Path) -> Exception:
    from physlab.errors import ComputationError

    words = path.with_suffix(".log").read_text(errors="replace").strip().splitlines()[-12:]
    said = " Its log ends with:\n" + "\n".join(words) + "\n" if words else ""
    begin = jsonlib.loads(path.read_text(encoding="utf-8").splitlines()[0])
    return ComputationError(
        f"The process of run {path.stem} ended without a word (killed, or out of memory).{said}",
        hint=f"Finished nodes are kept. Resume with: physlab run {quoted(begin.get('dag', ''))}",
    )


def _find(run: str) -> Path:
    """Return the event file of a run in the background.

    Raises:
        ValidationError: There is none of that name.
    """
    from physlab.errors import ValidationError, nearest
    from physlab.settings import load_settings

    folder = events_of(load_settings(), "").parent
    known = sorted((path.stem for path in folder.glob("*.jsonl")), reverse=True)
    found = known[:1] if run == "latest" else [name for name in known if name.startswith(run)]
    if not found:
        raise ValidationError(
            f"No run '{run}' was started in the background.",
            hint=nearest(run, known[:10]) if known else "Start one: physlab run DAG --detach.",
        )
    return folder / f"{found[0]}.jsonl"


def stop(run: RunArgument, json: Json = False) -> int:
    """Stop a run in the background; what is finished is kept."""
    from physlab.errors import ResourceError
    from physlab.store.lease import has_ended

    path = _find(run)
    begin = next(line for line in _lines(path) if line["event"] == "begin")
    process = begin["process"]
    was_running = not has_ended(process)
    if was_running:
        os.kill(process["pid"], signal.SIGTERM)
        deadline = time.monotonic() + STOP_S
        while not has_ended(process):
            if time.monotonic() > deadline:
                raise ResourceError(f"Process {process['pid']} does not end.", hint=f"kill -9 {process['pid']}")
            time.sleep(POLL_S)
    if voice.as_json:
        voice.reply({"run_id": path.stem, "stopped": was_running})
        return 0
    voice.say(f"{'Stopped' if was_running else 'It was over already'}: run {path.stem}. What is finished is kept.")
    voice.next(f"physlab run {quoted(begin['dag'])}")
    return 0
