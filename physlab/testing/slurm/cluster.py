"""The cluster as a test holds it: commands against it, nodes that die and come back, a clean slate between tests."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from physlab.settings import child_environment
from physlab.testing.slurm.plan import ClusterPlan
from physlab.testing.slurm.processes import CGROUPS

PARTS = ("munged", "munge", "slurmctld", "slurmd", "sbatch", "slurmdbd", "mariadbd", "mariadb-install-db")
INSTALL = (
    "apt-get install -y --no-install-recommends slurmctld slurmd slurm-client munge slurmdbd mariadb-server-core "
    "mariadb-client-core"
)
SBIN = "/usr/sbin:/sbin"


def missing_parts(*, accounting: bool = True) -> str:
    """Return what is missing for a cluster, with the command that installs it; empty when all is there."""
    path = f"{child_environment({}).get('PATH', '')}:{SBIN}"
    needed = PARTS if accounting else PARTS[:5]
    gone = [name for name in needed if shutil.which(name, path=path) is None]
    return f"{', '.join(gone)} cannot be found: {INSTALL}" if gone else ""


def missing_limits() -> str:
    """Return why a cluster cannot limit the memory of its jobs here; empty when it can."""
    probe = CGROUPS / "memory" / "physlab-probe"
    try:
        probe.mkdir(exist_ok=True)
        probe.rmdir()
    except OSError as error:
        return f"control groups of version 1 cannot be made ({error.strerror}): {probe.parent}"
    return ""


class SlurmCluster:
    """A running cluster; a context manager.

    Attributes:
        conf: Path of its slurm.conf; `SLURM_CONF` for every client.
        nodes: Names of its nodes; the first has two accelerators.
        times: How long its start took, part by part [s].
    """

    def __init__(self, supervisor: subprocess.Popen[str], ready: dict[str, Any]) -> None:
        self._supervisor = supervisor
        self.conf, self.base = Path(ready["conf"]), Path(ready["base"])
        self.nodes: list[str] = ready["nodes"]
        self.times: dict[str, float] = ready["times"]

    @classmethod
    def start(cls, plan: ClusterPlan | None = None) -> SlurmCluster:
        """Start a cluster and wait until its nodes are idle.

        Raises:
            RuntimeError: It did not start; with the words of what failed.
        """
        environment = child_environment({"PATH": f"{child_environment({}).get('PATH', '')}:{SBIN}"})
        supervisor = subprocess.Popen(
            [sys.executable, "-m", "physlab.testing.slurm.supervisor", json.dumps((plan or ClusterPlan()).as_json())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        assert supervisor.stdout is not None  # noqa: S101
        said = supervisor.stdout.readline()
        ready = json.loads(said) if said else {"error": "the supervisor ended without a word"}
        if "error" in ready:
            supervisor.communicate()  # it ends what it began
            raise RuntimeError(f"The Slurm cluster did not start: {ready['error']}")
        return cls(supervisor, ready)

    @property
    def environment(self) -> dict[str, str]:
        """Environment for programs that use the cluster."""
        path = f"{child_environment({}).get('PATH', '')}:{SBIN}"
        return child_environment({"SLURM_CONF": str(self.conf), "PATH": path}, drop_prefix="SLURM_")

    def run(self, *words: str, check: bool = True, stdin: str = "", timeout_s: float = 60) -> str:
        """Run a program against the cluster and return what it printed.

        Raises:
            RuntimeError: It failed (with `check`), with its words.
        """
        done = subprocess.run(
            words, env=self.environment, input=stdin, capture_output=True, text=True, timeout=timeout_s, check=False
        )
        if check and done.returncode:
            raise RuntimeError(f"{' '.join(words)} ended with {done.returncode}: {done.stderr}")
        return done.stdout

    def kill_node(self, name: str) -> None:
        """Let a node die with all that runs on it, as when its power fails."""
        self._ask("kill_node", name)

    def start_node(self, name: str) -> None:
        """Let a node come back."""
        self._ask("start_node", name)

    def kill_daemon(self, name: str) -> None:
        """Kill one daemon alone (`slurmctld`, `slurmdbd`, `slurmd-NODE`): its jobs go on."""
        self._ask("kill_daemon", name)

    def start_daemon(self, name: str) -> None:
        """Start a killed daemon again."""
        self._ask("start_daemon", name)

    def states(self) -> dict[str, str]:
        """Return the state of each node as `sinfo` spells it: idle, mix, alloc, down*."""
        found: dict[str, str] = self._ask("states")
        return found

    def queue(self) -> dict[str, str]:
        """Return the state of each job that waits or runs, by its id."""
        lines = self.run("squeue", "-h", "-o", "%i %T").splitlines()
        return dict(line.split() for line in lines)

    def wait(self, what: str, ready: Callable[[], bool], timeout_s: float = 60) -> float:
        """Wait until something is so and return how long it took [s].

        Raises:
            TimeoutError: It took too long.
        """
        begun = time.monotonic()
        while not ready():
            if time.monotonic() - begun > timeout_s:
                seen = f"queue {self.queue()}, nodes {self.states()}"
                raise TimeoutError(f"{what} was not so after {timeout_s:g} s; {seen}")
            time.sleep(0.1)
        return time.monotonic() - begun

    def reset(self) -> None:
        """Make a clean slate: no job, every node idle."""
        for job in self.queue():
            self.run("scancel", "--full", "--signal=KILL", job, check=False)
            self.run("scancel", job, check=False)
        self.wait("an empty queue", lambda: not self.queue())
        for name, state in self.states().items():
            if state not in ("idle", "idle*"):
                self.run("scontrol", "update", f"nodename={name}", "state=resume", check=False)
        self.wait("idle nodes", lambda: set(self.states().values()) == {"idle"})

    def close(self) -> None:
        """End the cluster and wait until nothing is left of it."""
        assert self._supervisor.stdin is not None  # noqa: S101
        self._supervisor.stdin.close()
        self._supervisor.wait(timeout=60)
        if self._supervisor.stdout is not None:
            self._supervisor.stdout.close()

    def _ask(self, do: str, *arguments: str) -> Any:
        stdin, stdout = self._supervisor.stdin, self._supervisor.stdout
        assert stdin is not None and stdout is not None  # noqa: S101
        stdin.write(json.dumps({"do": do, "with": arguments}) + "\n")
        stdin.flush()
        reply = json.loads(stdout.readline())
        if "error" in reply:
            raise RuntimeError(reply["error"])
        return reply["answer"]

    def __enter__(self) -> SlurmCluster:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
