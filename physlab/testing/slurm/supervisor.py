"""The process that owns a cluster: every daemon is its child, and all of them end with it.

It reads one JSON command in a line from its standard input and answers in a line; when the input ends, because whoever
started it is gone, or killed, it ends the cluster.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from physlab.settings import child_environment
from physlab.testing.slurm import processes
from physlab.testing.slurm.plan import ClusterPlan, Layout

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_LIBC = ctypes.CDLL(None)
START_S = 60.0


class Supervisor:
    """Starts a cluster's daemons and keeps hold of them."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.environment = child_environment({"SLURM_CONF": str(layout.conf)}, drop_prefix="SLURM_")
        self.daemons: dict[str, subprocess.Popen[bytes]] = {}

    def start(self) -> dict[str, float]:
        """Start everything and return how long each part took [s]."""
        self.layout.write()
        begun, times = time.monotonic(), {}
        for part in (self._munge, self._accounts, self._controller, self._nodes):
            part()
            times[part.__name__.strip("_")] = round(time.monotonic() - begun, 3)
        return times

    def _munge(self) -> None:
        base, socket_path = self.layout.base, self.layout.munge_socket
        files = {"key-file": "munge/key", "pid-file": "munge/pid", "log-file": "munge/log", "seed-file": "munge/seed"}
        options = [f"--{name}={base / file}" for name, file in files.items()]
        self.spawn("munged", "munged", "-F", "--force", f"--socket={socket_path}", "--group-update-time=-1", *options)
        self.wait("munge", lambda: self.call("munge", "-n", "-S", str(socket_path)).returncode == 0)

    def _accounts(self) -> None:
        if not self.layout.plan.accounting:
            return
        layout, folder = self.layout, self.layout.database
        made = self.call(
            "mariadb-install-db", "--no-defaults", f"--datadir={folder}", "--innodb-log-file-size=8M",
            f"--user={layout.user}", "--skip-test-db", "--auth-root-authentication-method=normal",
        )  # fmt: skip
        if made.returncode:
            raise RuntimeError(f"mariadb-install-db: {made.stdout}{made.stderr}")
        self.spawn(
            "mariadbd", "mariadbd", "--no-defaults", f"--datadir={folder}", f"--user={layout.user}",
            f"--socket={layout.base}/run/db.sock", f"--pid-file={layout.base}/run/db.pid", "--bind-address=127.0.0.1",
            f"--port={layout.database_port}", f"--init-file={layout.base}/database.sql", "--skip-name-resolve",
            "--innodb-buffer-pool-size=64M", "--innodb-log-file-size=8M", "--innodb-lock-wait-timeout=900",
            "--innodb-flush-log-at-trx-commit=0", "--skip-log-bin", "--performance-schema=OFF",
        )  # fmt: skip
        self.wait("MariaDB", lambda: _answers(layout.database_port))
        self.spawn("slurmdbd", "slurmdbd", "-D")
        self.wait("slurmdbd", lambda: _answers(layout.accounting_port))

    def _controller(self) -> None:
        self.spawn("slurmctld", "slurmctld", "-D", "-f", str(self.layout.conf))
        self.wait("slurmctld", lambda: "UP" in self.call("scontrol", "ping").stdout)

    def _nodes(self) -> None:
        for name in self.layout.node_names:
            self.start_node(name)
        self.wait("idle nodes", lambda: set(self.states().values()) == {"idle"})

    def start_node(self, name: str) -> None:
        """Start the daemon of a node."""
        self.spawn(f"slurmd-{name}", "slurmd", "-D", "-f", str(self.layout.conf), "-N", name)

    def kill_node(self, name: str) -> None:
        """Let a node die: its daemon, its jobs' steps, and everything that its jobs started, all at once."""
        daemon = self.daemons.pop(f"slurmd-{name}", None)
        if daemon is not None:
            daemon.kill()
        processes.sweep(self.layout.base, name)
        if daemon is not None:
            daemon.wait()

    def kill_daemon(self, name: str) -> None:
        """Kill one daemon alone: `slurmctld`, `slurmdbd`, or `slurmd-NODE`."""
        daemon = self.daemons.pop(name)
        daemon.kill()
        daemon.wait()

    def start_daemon(self, name: str) -> None:
        """Start a daemon again that was killed."""
        if name.startswith("slurmd-"):
            self.start_node(name.removeprefix("slurmd-"))
        else:
            self.spawn(name, name, "-D", *(("-f", str(self.layout.conf)) if name == "slurmctld" else ()))

    def states(self) -> dict[str, str]:
        """Return the state of each node as `sinfo` spells it."""
        lines = self.call("sinfo", "-h", "-N", "-o", "%N %t").stdout.splitlines()
        return dict(line.split() for line in lines)

    def call(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a client program."""
        return subprocess.run(words, env=self.environment, capture_output=True, text=True, timeout=60, check=False)

    def spawn(self, name: str, *words: str) -> None:
        """Start a daemon in the foreground; it dies when this process does."""
        with (self.layout.base / "log" / f"{name}.out").open("ab") as log:
            self.daemons[name] = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.environment, cwd=self.layout.base,
                preexec_fn=_detach,
            )  # fmt: skip

    def wait(self, what: str, ready: Callable[[], bool]) -> None:
        """Wait until something is there.

        Raises:
            RuntimeError: A daemon ended; with the end of its log.
            TimeoutError: It took too long.
        """
        begun = time.monotonic()
        while True:
            with suppress(OSError, ValueError, subprocess.TimeoutExpired):
                if ready():
                    return
            for name, daemon in self.daemons.items():
                if daemon.poll() is not None:
                    log = (self.layout.base / "log" / f"{name}.out").read_text(errors="replace")[-2000:]
                    raise RuntimeError(f"{name} ended with {daemon.returncode} before {what} was ready: {log}")
            if time.monotonic() - begun > START_S:
                raise TimeoutError(f"{what} was not ready after {START_S:g} s")
            time.sleep(0.02)

    def listen(self) -> Iterator[bytes]:
        """Yield the commands that come in, until the input ends; bury adopted children meanwhile."""
        left = b""
        while True:
            if not select.select([0], [], [], 0.1)[0]:
                self._bury()
                continue
            read = os.read(0, 65536)
            if not read:
                return
            *lines, left = (left + read).split(b"\n")
            yield from lines

    def _bury(self) -> None:
        """Reap job steps that were orphaned and came to us: Slurm waits for them as long as they are in its sight."""
        mine = {daemon.pid for daemon in self.daemons.values()}
        for pid in map(int, Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()):
            if pid not in mine:
                with suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)

    def obey(self, command: Mapping[str, Any]) -> Any:
        """Carry out one command and return its answer."""
        known: dict[str, Callable[..., Any]] = {
            "kill_node": self.kill_node,
            "start_node": self.start_node,
            "kill_daemon": self.kill_daemon,
            "start_daemon": self.start_daemon,
            "states": self.states,
        }
        return known[command["do"]](*command.get("with", ()))


def _detach() -> None:
    os.setsid()
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _answers(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port), timeout=0.5):
        return True


def main(text: str) -> None:
    """Start the cluster of a plan (JSON), serve commands, and end it when the input ends."""
    os.setsid()
    _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)  # orphaned job steps come to us and are reaped
    os.umask(0o022)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    parent = Path(tempfile.gettempdir())
    processes.sweep_abandoned(parent)
    base = Path(tempfile.mkdtemp(prefix=processes.PREFIX, dir=parent))
    processes.claim(base)
    try:
        given = json.loads(text)
        supervisor = Supervisor(Layout(ClusterPlan(**{**given, "extra": tuple(given["extra"])}), base))
        times = supervisor.start()
        layout = supervisor.layout
        _say({"conf": str(layout.conf), "base": str(base), "nodes": layout.node_names, "times": times})
        for line in supervisor.listen():
            try:
                _say({"answer": supervisor.obey(json.loads(line))})
            except (KeyError, OSError, RuntimeError) as error:
                _say({"error": f"{type(error).__name__}: {error}"})
    except (OSError, RuntimeError) as error:
        _say({"error": str(error)})
    finally:
        processes.sweep(base)
        processes.remove(base)


def _say(value: Any) -> None:
    with suppress(BrokenPipeError):
        sys.stdout.write(json.dumps(value) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1])
