"""The crew of a cluster as the lab sees it: the foreman, and the pools of pilots that he keeps."""

from __future__ import annotations

import contextlib
import logging
import re
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distributed import Client, Security

from physlab.errors import CancelledError, PhyslabError, ResourceError, WorkerLostError
from physlab.model.job import JobResources
from physlab.settings import SlurmSiteSettings
from physlab.sites.environment import Chosen, choose_python
from physlab.sites.slurm import policy
from physlab.sites.slurm.commands import run_here
from physlab.sites.slurm.gate import gate_here, gate_to
from physlab.sites.slurm.link import Link
from physlab.sites.slurm.pools import pilots_for
from physlab.sites.slurm.script import comment_words
from physlab.sites.ssh import SshRun

FOREMAN = "physlab.sites.slurm.foreman"
FOREMAN_MB = 1000
STARTS = 3
"""So often a foreman that was lost is replaced in one run."""
REFUSED_S = 5.0
"""So long a site whose Python cannot be used is not asked again [s]."""
SETTLE_S = 0.05
"""Changes of what is wanted are told to the foreman together, so long after the first [s]."""


@dataclass
class Pool:
    """One kind of pilot: what it asks of Slurm, the way to its scheduler, its script, and what the foreman was told."""

    number: int
    kind: JobResources
    client: Client
    script: str
    told: int = 0
    comment: str = ""


class Crew:
    """Starts a foreman when the first pool is needed, and another one when he is lost.

    Args:
        name: What the lab calls the site.
        settings: The site's.
        folder: Folder on the cluster.
        token: Names the lab's process among the jobs of the queue.
        comment: What the jobs are for.
        broken: Told the numbers of pools that cannot work, why, and whether trying again may help.
    """

    def __init__(
        self,
        name: str,
        settings: SlurmSiteSettings,
        folder: Path,
        token: str,
        comment: str,
        broken: Callable[[set[int], str, bool], None],
    ) -> None:
        self.name, self.settings = name, settings
        self._folder, self._token, self._comment = folder, token, comment
        self._broken = broken
        own = Security.temporary()
        self._certificate, self._key = own.tls_client_cert, own.tls_client_key
        self._guard = threading.Lock()
        self._opening = threading.Lock()  # held while the foreman answers; what he tells meanwhile needs the guard
        self._pools: dict[JobResources, Pool] = {}
        self._expected: Counter[JobResources] = Counter()  # cores that ready nodes want
        self._causes: dict[JobResources, str] = {}  # the run that called for a kind last
        self._excluded: set[str] = set()
        self._link: Link | None = None
        self._ssh = SshRun(settings.host) if settings.host else None
        self._chosen: Chosen | None = None
        self._refusal: tuple[float, PhyslabError] = (-REFUSED_S, ResourceError(""))
        self._starts = 0
        self._numbers = 0
        self._jobs: dict[str, int] = {}
        self._teller: threading.Timer | None = None
        self.closed = False

    def pool(self, kind: JobResources) -> Pool:
        """Return the pool of a kind, opened if there is none yet.

        Raises:
            ValidationError: Slurm would not take such a pilot; with its words.
            ResourceError: The foreman cannot be started.
            WorkerLostError: It was lost in the middle of this.
        """
        with self._opening:
            if (known := self._pools.get(kind)) is not None:
                return known
            link = self._foreman()
            self._numbers += 1
            told = link.ask("open", number=self._numbers, kind=kind.model_dump(mode="json"))
            client = Client(self._reach(told["address"]), security=self._security(), set_as_default=False,
                            timeout=30, name="physlab")  # fmt: skip
            pool = Pool(self._numbers, kind, client, told["script"])
            with self._guard:
                gone = link is not self._link
                if not gone:
                    self._pools[kind] = pool
        if gone:
            _leave([pool])
            raise WorkerLostError("The foreman beside the cluster was lost.", details={"ended": "worker_lost"})
        self._tell()
        return pool

    def expect(self, kind: JobResources, cores: int, cause: str = "") -> None:
        """Learn that nodes that want so many cores more (or fewer) are ready for a kind of pilot, and of which run."""
        with self._guard:
            self._expected[kind] += cores
            self._causes[kind] = cause or self._causes.get(kind, "")
            if kind in self._pools and self._teller is None and not self.closed:
                self._teller = threading.Timer(SETTLE_S, self._tell)
                self._teller.daemon = True
                self._teller.start()

    def why(self, pool: Pool, pilot: str) -> dict[str, Any]:
        """Return what became of a pilot that is gone, as a job's status; empty when nobody knows."""
        with self._guard:
            link = self._link
        if link is None:
            return {}
        return link.ask("why", number=pool.number, pilot=pilot)

    def jobs(self) -> dict[str, int]:
        """Return the jobs of all pilots so far, and the cores that each holds."""
        with self._guard:
            return dict(self._jobs)

    def exclude(self, machines: Sequence[str]) -> None:
        """Send no more pilots to machines that failed."""
        with self._guard:
            self._excluded.update(machines)

    def close(self) -> None:
        """Cancel all jobs and end the foreman."""
        self.closed = True
        with self._opening, self._guard:
            link, self._link = self._link, None
            pools, self._pools = list(self._pools.values()), {}
        _leave(pools)
        if link is not None:
            link.close()
        if self._ssh is not None:
            self._ssh.close()

    def _tell(self) -> None:
        """Tell the foreman how many pilots of each kind are wanted."""
        with self._guard:
            self._teller = None
            link = self._link
            if link is None or self.closed:
                return
            for kind, pool in self._pools.items():
                wanted = pilots_for(max(0, self._expected[kind]), kind, self.settings.max_pilots)
                purpose = self._chosen.comment(self._comment) if self._chosen is not None else self._comment
                comment = comment_words(f"{purpose} {self._causes.get(kind, '')}")
                if (wanted, comment) != (pool.told, pool.comment):
                    pool.told, pool.comment = wanted, comment
                    asked = {"pilots": wanted, "exclude": sorted(self._excluded), "comment": comment}
                    with contextlib.suppress(ResourceError):  # its end is noticed elsewhere
                        link.tell("want", number=pool.number, **asked)

    def _foreman(self) -> Link:
        if self.closed:
            raise CancelledError("The run was stopped.", hint="Start it again: finished nodes are kept.")
        if self._link is None:
            if self._starts == STARTS:
                raise ResourceError(
                    f"The foreman beside the cluster was lost {STARTS} times.", hint="Look at its host."
                )
            chosen = self._python()
            self._starts += 1
            for name in ("distributed", "distributed.client"):
                logging.getLogger(name).setLevel(logging.CRITICAL + 1)  # what they have to say, we say
            hint = f"has {chosen.python} there physlab? It comes by: physlab site install {self.name}"
            link = Link(self._command(chosen), self._hello(chosen), self._heard, self._lost, hint)
            with self._guard:
                self._link = link
        return self._link

    def _python(self) -> Chosen:
        """Return the Python of the site, which is looked for once, and not at once again for each of many nodes."""
        since, refusal = self._refusal
        if self._chosen is None and time.monotonic() - since < REFUSED_S:
            raise refusal
        if self._chosen is None:
            try:
                self._chosen = choose_python(self.name, self.settings, self._folder, self._ssh or run_here())
            except PhyslabError as error:
                self._refusal = (time.monotonic(), error)
                raise
        return self._chosen

    def _command(self, chosen: Chosen) -> list[str]:
        """Return what starts the foreman: here, behind ssh, or in a job of its own."""
        site = self.settings
        words = chosen.start(site, ("-P", "-m", FOREMAN))
        if site.scheduler == "job":
            asked = {"partition": site.partition, "account": site.account, "qos": site.qos}
            options = [
                "--quiet", "--ntasks=1", "--cpus-per-task=1", f"--mem={FOREMAN_MB}M", "--no-kill",
                f"--job-name=physlab-foreman-{self._token}", f"--comment={chosen.comment(self._comment)}",
                *(f"--{name}={value}" for name, value in asked.items() if value),
            ]  # fmt: skip
            (gate_to(self._ssh) if self._ssh is not None else gate_here()).admit(options)
            words = ["srun", *options, *words]
        return self._ssh.line(words) if self._ssh is not None else words

    def _reach(self, address: str) -> str:
        """Return the address by which this machine reaches a scheduler: behind ssh, a port that leads there."""
        if self._ssh is None:
            return address
        protocol, host, port = re.fullmatch(r"(\w+)://\[?(.+?)\]?:(\d+)", address).groups()  # type: ignore[union-attr]
        return f"{protocol}://127.0.0.1:{self._ssh.forward(host, int(port))}"

    def _hello(self, chosen: Chosen) -> dict[str, Any]:
        site = self.settings
        return {
            "token": self._token, "folder": str(self._folder / "pilots"), "certificate": self._certificate,
            "key": self._key, "python": chosen.python if chosen.about else site.python,
            "prologue": chosen.prologue(site), "interface": site.interface, "idle_s": site.idle_s,
            "max_pilots": site.max_pilots, "comment": chosen.comment(self._comment),
            "in_job": site.scheduler == "job", "policy": str(policy.PATH),
        }  # fmt: skip

    def _security(self) -> Security:
        return Security(
            tls_ca_file=self._certificate, tls_client_cert=self._certificate, tls_client_key=self._key,
            require_encryption=True,
        )  # fmt: skip

    def _heard(self, event: dict[str, Any]) -> None:
        if event["event"] == "job":
            with self._guard:
                self._jobs[event["job"]] = event["cores"]
        elif event["event"] == "broken":
            with self._guard:
                for pool in self._pools.values():
                    if pool.number == event["pool"]:
                        pool.told = 0
            self._broken({event["pool"]}, event["why"], False)

    def _lost(self, said: str) -> None:
        with self._guard:
            self._link = None
            pools, self._pools = list(self._pools.values()), {}
        self._broken({pool.number for pool in pools}, said, True)
        _leave(pools)


def _leave(pools: Sequence[Pool]) -> None:
    for pool in pools:
        with contextlib.suppress(OSError, TimeoutError):
            pool.client.close(timeout=2)


def new_token() -> str:
    """Return a name for a lab's process among the jobs of a queue."""
    return secrets.token_hex(4)
