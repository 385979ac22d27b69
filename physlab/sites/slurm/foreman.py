"""The foreman: the process beside a cluster that starts pilots for a lab, watches them and replaces the lost ones.

    python -m physlab.sites.slurm.foreman

It takes one JSON object a line on standard input and answers on standard output, so it can run on this machine, behind
ssh, or in a job of its own behind srun. When its input ends, by a word or because the lab's process died, it cancels
all its jobs and ends. For each kind of pilot it keeps one `dask_jobqueue.SLURMCluster`; its scheduler hands out nodes.
"""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from typing import Any

import dask
from distributed.core import Status

from physlab.errors import PhyslabError, ValidationError
from physlab.model.job import JobResources, JobStatus
from physlab.sites.slurm.client import SlurmClient
from physlab.sites.slurm.ends import IDLE, RELEASED, note_ends
from physlab.sites.slurm.gate import gate_here
from physlab.sites.slurm.hello import Hello
from physlab.sites.slurm.pilots import PilotCluster, Submissions
from physlab.sites.slurm.states import ENDING, QUEUE

TICK_S = 0.5
CALM_S = 8.0
"""So often the queue is asked while nothing happens; while pilots start or are missed, at each tick."""
NOTICE_S = 3.0
"""A worker is its job's only process: so long after its end Slurm must know [s], else the machine itself is gone."""
ENDING_S = 30.0
"""So long Slurm may take to say why a job is ending, once it says that it is [s]."""
STILLBORN = 3
"""So many pilots of one kind that end without ever having reported mean that none ever will."""
CROWDED_S = 5.0
"""So long no pilot is tried again after the policy had no place for one [s]."""
HOPELESS = frozenset((
    "PartitionTimeLimit", "PartitionNodeLimit", "BadConstraints", "InvalidAccount", "InvalidQOS", "AccountNotAllowed",
    "QOSNotAllowed", "DependencyNeverSatisfied", "JobHeldAdmin", "AssocMaxWallDurationPerJobLimit",
    "QOSMaxWallDurationPerJobLimit", "AssocMaxMemPerJob", "QOSMaxMemoryPerJob", "AssocMaxCpuPerJobLimit",
))  # fmt: skip
"""Reasons of waiting that do not pass by themselves."""
DASK = {
    "distributed.scheduler.allowed-failures": 0,  # the lab decides what is tried again, and for which reason
    "distributed.scheduler.worker-ttl": "60s",
    "distributed.scheduler.work-stealing": False,
    "distributed.deploy.lost-worker-timeout": "1h",  # replacing is the foreman's
    "distributed.comm.timeouts.tcp": "30s",
    "distributed.admin.tick.limit": "60s",
    "distributed.scheduler.http.routes": [],
}


class Pool:
    """The pilots of one kind."""

    def __init__(self, cluster: PilotCluster) -> None:
        self.cluster = cluster
        self.wanted = 0
        self.seen: set[str] = set()  # pilots that have reported
        self.ended: dict[str, JobStatus] = {}
        self.stillborn = 0
        self.broken = ""
        self.idle: dict[str, float] = {}  # since when a pilot has had no work
        self.waits_for = ""

    def jobs(self) -> dict[str, str]:
        """Return the job of each pilot that was accepted."""
        return {name: job.job_id for name, job in self.cluster.workers.items() if job.job_id}

    def reporting(self) -> dict[str, Any]:
        """Return the pilots that are connected, as Dask's scheduler sees them."""
        return {str(state.name): state for state in self.cluster.scheduler.workers.values()}

    def live(self) -> list[str]:
        """Return the pilots that take work, or will."""
        closing = {name for name, state in self.reporting().items() if state.status is not Status.running}
        return [name for name in self.cluster.worker_spec if name not in closing]


class Foreman:
    """Keeps the pools.

    Args:
        hello: What to know.
    """

    def __init__(self, hello: Hello) -> None:
        self.hello = hello
        self.pools: dict[int, Pool] = {}
        self.gate = gate_here(hello.policy)
        self.client = SlurmClient(self.gate)
        self.submissions = Submissions(self.gate)
        self._asked_at = 0.0
        self._crowded_until = 0.0
        self._told: set[str] = set()  # jobs that the lab has heard of

    async def open(self, number: int, kind: dict[str, Any]) -> dict[str, Any]:
        """Begin a pool; a kind of pilot that the scheduler would refuse is an error at once."""
        cluster = PilotCluster(self.hello, number, JobResources.model_validate(kind), self.submissions)
        await asyncio.to_thread(self._most_pilots)
        await asyncio.to_thread(cluster.check)
        await cluster
        self.pools[number] = Pool(cluster)
        return {"address": cluster.scheduler.address, "script": cluster.shown_script()}

    async def want(self, number: int, pilots: int, exclude: list[str], comment: str) -> dict[str, Any]:
        """Learn how many pilots a pool shall have, which machines have failed, and what further pilots are for."""
        pool = self.pools[number]
        pool.wanted = pilots
        pool.cluster.direct(exclude, comment)
        await self._scale(pool)
        return {}

    async def why(self, number: int, pilot: str) -> dict[str, Any]:
        """Say what became of a pilot whose worker is gone; Slurm is given a moment to notice."""
        pool = self.pools[number]
        job = pool.jobs().get(pilot)
        status, began = None, time.monotonic()
        while pilot not in pool.ended and job is not None:
            jobs = {job: self.hello.folder}
            status = (await asyncio.to_thread(self.client.poll, jobs, True, time.time()))[job]
            patience = ENDING_S if status.reason == ENDING else NOTICE_S
            if status.ended:
                self._bury(pool, pilot, status)
            elif time.monotonic() - began > patience:
                break
            else:
                await asyncio.sleep(TICK_S)
        if pilot not in pool.ended and job is not None:
            machines = status.machines if status is not None else ()
            told = f"no word from it, while Slurm says {status.reason if status is not None else 'nothing'}"
            self._bury(pool, pilot, JobStatus(job_id=job, state="node_fail", reason=told, machines=machines))
            await asyncio.to_thread(self.client.cancel, [job])
        await self._scale(pool)
        return pool.ended[pilot].model_dump(mode="json") if pilot in pool.ended else {}

    async def tick(self) -> None:
        """Look after all pools once."""
        nervous = False
        for pool in self.pools.values():
            pool.seen |= set(pool.reporting())
            for job in pool.jobs().values():
                if job not in self._told:
                    self._told.add(job)
                    say({"event": "job", "job": job, "cores": pool.cluster.kind.cpus * pool.cluster.kind.nodes})
            nervous |= any(name not in pool.reporting() for name in pool.cluster.worker_spec)
        known = self.gate.asked_at(QUEUE)  # by whichever process of this user
        if known > self._asked_at or time.time() - self._asked_at > (2 * TICK_S if nervous else CALM_S):
            begun = time.time()
            await self._ask(known if known > self._asked_at else None)
            self._asked_at = max(known, begun)
        for pool in self.pools.values():
            await self._scale(pool)

    async def _ask(self, since: float | None) -> None:
        jobs = {job: (pool, name) for pool in self.pools.values() for name, job in pool.jobs().items()}
        if not jobs:
            return
        try:
            answer = await asyncio.to_thread(self.client.queue, jobs, since)
        except PhyslabError:
            answer = None
        if answer is None:
            return  # the scheduler is busy: ask again
        gone = []
        for job, (pool, name) in jobs.items():
            status = answer.get(job)
            if status is None or status.ended:
                gone.append((job, pool, name))
            elif status.state == "pending":
                pool.waits_for = status.reason
                if status.reason in HOPELESS:
                    pool.broken = f"Slurm will not start pilots: {status.reason}."
        if gone:
            told = await asyncio.to_thread(self.client.poll, {job: self.hello.folder for job, _, _ in gone})
            for job, pool, name in gone:
                if told[job].ended:
                    await self._fence(pool, name)
                    self._bury(pool, name, told[job])

    async def _fence(self, pool: Pool, name: str) -> None:
        """Shut out a worker whose job is over for Slurm: its machine may only be cut off, and still compute."""
        state = pool.reporting().get(name)
        if state is not None:
            await pool.cluster.scheduler.remove_worker(state.address, stimulus_id="its-job-is-over")

    def _bury(self, pool: Pool, name: str, status: JobStatus) -> None:
        pool.ended[name] = status
        pool.cluster.forget(name)
        pool.idle.pop(name, None)
        if name in pool.seen:
            pool.stillborn = 0
        elif status.state not in ("preempted", "node_fail", "cancelled"):
            pool.stillborn += 1
            if pool.stillborn >= STILLBORN:
                said = pool.cluster.last_words(status.job_id)
                pool.broken = f"Pilots end before they begin: {status.state} ({status.reason}). {said}"

    async def _scale(self, pool: Pool) -> None:
        if pool.cluster.refused:
            pool.broken = pool.cluster.refused
        if pool.broken:
            if pool.wanted:
                say({"event": "broken", "pool": pool.cluster.number, "why": pool.broken})
                pool.wanted, pool.broken, pool.stillborn, pool.cluster.refused = 0, "", 0, ""
            pool.cluster.retire(list(pool.cluster.worker_spec))
            return
        if said := pool.cluster.crowded_out():
            pool.waits_for, self._crowded_until = said, time.monotonic() + CROWDED_S
        live = pool.live()
        missing = pool.wanted - len(live)
        if missing > 0 and time.monotonic() > self._crowded_until:
            room, turns = self._room(pool)
            for other in self.pools.values() if missing > room else ():
                spare = [name for name in other.live() if name in other.idle] if other is not pool else []
                left = len(other.live()) - other.wanted
                other.cluster.retire(spare[: max(0, min(missing - room, left))], IDLE)
            pool.cluster.add(max(0, min(room, missing, turns)))
        pool.cluster.retire(list(self._surplus(pool, live)), IDLE)

    def _room(self, pool: Pool) -> tuple[int, int]:
        """Return how many pilots there may be more, and how many of them can be submitted without long waiting."""
        try:
            most, turns = self._most_pilots(), self.gate.free_turns()
        except PhyslabError as error:  # the policy has become one that cannot be read
            pool.broken = str(error)
            return 0, 0
        there = sum(len(other.cluster.worker_spec) for other in self.pools.values())
        if turns is None:
            return most - there, most
        return most - there, 0 if any(other.cluster.submitting for other in self.pools.values()) else turns

    def _most_pilots(self) -> int:
        """Return how many pilots there may be at once.

        Raises:
            ValidationError: The policy allows none beside the foreman.
        """
        policy = self.gate.policy()
        most = policy.caps.jobs_at_once if policy is not None else None
        if policy is None or most is None:
            return self.hello.max_pilots
        if most - self.hello.in_job < 1:
            raise ValidationError(
                f"The cluster's policy ({policy.place}) leaves no job for pilots: jobs_at_once is {most}, and that is "
                "the foreman.",
                hint='Let the foreman live on the login node: scheduler = "here".',
            )
        return min(self.hello.max_pilots, most - self.hello.in_job)

    def _surplus(self, pool: Pool, live: list[str]) -> Iterator[str]:
        """Yield pilots that nobody has needed for a while, as many as are too many."""
        now, reporting = time.monotonic(), pool.reporting()
        for name in live:
            state = reporting.get(name)
            busy = len(live) <= pool.wanted if state is None else bool(state.processing)
            if busy:
                pool.idle.pop(name, None)
            else:
                pool.idle.setdefault(name, now)
        old = [name for name in live if now - pool.idle.get(name, now) > self.hello.idle_s]
        yield from sorted(old, key=lambda name: name in reporting)[: max(0, len(live) - pool.wanted)]

    async def close(self) -> None:
        """Cancel all jobs with one command and end the schedulers."""
        ended = {status.job_id for pool in self.pools.values() for status in pool.ended.values()}
        try:
            accepted = await asyncio.to_thread(self.submissions.end)
            left = [job for job in accepted if job not in ended]
            note_ends(self.hello.folder, left, RELEASED)
            await asyncio.to_thread(self.client.cancel, left)
        finally:
            for pool in self.pools.values():
                await pool.cluster.dissolve()


def say(message: dict[str, Any]) -> None:
    """Write one line to the lab."""
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


async def serve() -> None:
    """Be the foreman until the input ends."""
    lines: asyncio.Queue[str] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=1 << 24)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, ended.set)
    foreman = Foreman(Hello.model_validate_json(await reader.readline()))
    say({"event": "ready"})

    async def listen() -> None:
        while line := await reader.readline():
            lines.put_nowait(line.decode())
        ended.set()

    async def answer() -> None:
        while True:
            asked = json.loads(await lines.get())
            tasks.add(task := asyncio.ensure_future(_answer(foreman, asked)))
            task.add_done_callback(tasks.discard)

    async def look_after() -> None:
        while True:
            await foreman.tick()
            await asyncio.sleep(TICK_S)

    tasks: set[asyncio.Future[None]] = set()
    jobs = [asyncio.ensure_future(begin()) for begin in (listen, answer, look_after)]
    await asyncio.wait([asyncio.ensure_future(ended.wait()), *jobs], return_when=asyncio.FIRST_COMPLETED)
    for work in jobs:
        if work.done() and (fault := work.exception()) is not None:
            traceback.print_exception(fault)  # the lab shows its last line
    for job in (*jobs, *tasks):
        job.cancel()
    await asyncio.gather(*jobs, *tasks, return_exceptions=True)
    await foreman.close()


async def _answer(foreman: Foreman, asked: dict[str, Any]) -> None:
    try:
        reply = {"answer": await getattr(foreman, asked["do"])(**asked["with"])}
    except PhyslabError as error:
        reply = {"error": error.as_reply(), "kind": type(error).__name__}
    say({"id": asked["id"], **reply})


def main() -> None:
    """Run the foreman."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    dask.config.set(DASK)
    logging.getLogger("distributed").setLevel(logging.WARNING)  # its last line is shown when the foreman is lost
    asyncio.run(serve())


if __name__ == "__main__":
    main()
