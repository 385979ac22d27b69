"""The pilots of one kind: a `dask_jobqueue.SLURMCluster` that is told what to do and hides no refusal."""

from __future__ import annotations

import asyncio
import itertools
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from dask_jobqueue.slurm import SLURMCluster, SLURMJob
from distributed import Security
from distributed.core import Status
from distributed.deploy import Cluster, ProcessInterface

from physlab.errors import CrowdedError, PhyslabError, ValidationError
from physlab.model.job import JobResources
from physlab.sites.slurm.ends import note_ends
from physlab.sites.slurm.gate import Gate
from physlab.sites.slurm.hello import Hello
from physlab.sites.slurm.script import spell_time
from physlab.sites.slurm.states import OURS

AT_ONCE = 4  # calls of sbatch at the same time
STAGGER_S = 20
TAIL = 600


class Submissions:
    """Submits pilots through the gate, off the event loop, and knows every job that was accepted.

    Args:
        gate: The way to the cluster.
    """

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        self.accepted: list[str] = []
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="sbatch")

    async def submit(self, script: str) -> str:
        """Submit a pilot when it is its turn; return the id of its job.

        Raises:
            PhyslabError: It was refused; with the words of Slurm or of the policy.
        """
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._submit, script)

    def _submit(self, script: str) -> str:
        done = self.gate(("sbatch", "--parsable"), script)
        job_id = done.stdout.strip().partition(";")[0]
        if done.returncode or not job_id.isdigit():
            raise ValidationError(f"sbatch refused a pilot: {' '.join(done.stderr.split()) or done.stdout[:200]}")
        self.accepted.append(job_id)
        return job_id

    def end(self) -> list[str]:
        """Submit nothing more; return all jobs, those that were on their way included."""
        self.gate.leave()
        self._threads.shutdown(cancel_futures=True)
        return self.accepted


class PilotJob(SLURMJob):  # type: ignore[misc]
    """One pilot. A refused sbatch ends in the cluster's `refused`, not in a log that nobody reads."""

    submissions: Submissions

    async def start(self) -> None:
        """Submit it."""
        try:
            self.job_id = await self.submissions.submit(self.job_script())
            await ProcessInterface.start(self)
        except CrowdedError as error:
            self.crowded, self.status = error.message, Status.failed
        except (PhyslabError, OSError, subprocess.SubprocessError) as error:
            self.refused, self.status = str(error), Status.failed

    refused = crowded = ""


class PilotCluster(SLURMCluster):  # type: ignore[misc]
    """A scheduler and the pilots that report to it; it lives in an event loop.

    Args:
        hello: What the foreman knows.
        number: Of this kind of pilot.
        kind: What a pilot asks of Slurm.
        submissions: Submits them.
    """

    def __init__(self, hello: Hello, number: int, kind: JobResources, submissions: Submissions) -> None:
        self.hello, self.number, self.kind, self._submissions = hello, number, kind, submissions
        self._count = itertools.count(1)
        self.logs = hello.folder / "logs"
        self.logs.mkdir(parents=True, exist_ok=True)
        security = Security(
            tls_ca_file=hello.certificate, tls_scheduler_cert=hello.certificate, tls_scheduler_key=hello.key,
            tls_worker_cert=hello.certificate, tls_worker_key=hello.key, tls_client_cert=hello.certificate,
            tls_client_key=hello.key, require_encryption=True,
        )  # fmt: skip
        host = {"interface": hello.interface} if hello.interface else {}
        super().__init__(
            job_cls=type("PilotJob", (PilotJob,), {"submissions": self._submissions}),
            asynchronous=True, security=security, name=f"pilot-{hello.token}-{number}", silence_logs=False,
            scheduler_options={"dashboard": False, "dashboard_address": ":0", **host},
            interface=hello.interface, protocol="tls://", **self._job_options(),
        )  # fmt: skip

    def _job_options(self) -> dict[str, Any]:
        kind, hello = self.kind, self.hello
        lifetime = int((kind.walltime_s or 3600) - 2 * STAGGER_S)
        return {
            "cores": kind.cpus, "processes": 1, "memory": f"{(kind.memory_mb or 1024) * 2**20}B", "nanny": False,
            "job_mem": f"{kind.memory_mb}M" if kind.memory_mb else None, "job_name": self._job_name,
            "queue": kind.partition, "account": kind.account, "walltime": spell_time(kind.walltime_s or 3600),
            "python": f"exec {shlex.quote(hello.python or sys.executable)} -P", "death_timeout": 60,
            "local_directory": "${TMPDIR:-/tmp}", "log_directory": str(self.logs),
            "job_directives_skip": ["-n 1"], "job_extra_directives": list(self._directives()),
            "job_script_prologue": [*hello.prologue, *self._credentials()],
            "worker_extra_args": [
                "--preload", "physlab.sites.slurm.pilot", "--resources", f"cores={kind.cpus}", "--no-dashboard",
                "--lifetime", f"{lifetime}s", "--lifetime-stagger", f"{STAGGER_S}s",
            ],
        }  # fmt: skip

    def _new_worker_name(self, worker_number: int) -> str:
        """Return a name that no pilot had before: what is told of a lost one must not mean another."""
        return f"{self._name}-{next(self._count)}"

    @property
    def _job_name(self) -> str:
        return f"physlab-pilot-{self.hello.token}"

    def _directives(self, exclude: tuple[str, ...] = (), comment: str = "") -> list[str]:
        kind = self.kind
        words = [f"--nodes={kind.nodes}", "--ntasks-per-node=1", "--no-requeue", "--open-mode=append"]
        words += [f"--gres=gpu:{kind.gpus}"] if kind.gpus else []
        words += [f"--{name}={shlex.quote(value)}" for name in ("qos", "constraint") if (value := getattr(kind, name))]
        words.append(f"--comment={shlex.quote(comment or self.hello.comment or OURS)}")
        excluded = sorted({*kind.exclude, *exclude})
        return words + ([f"--exclude={','.join(excluded)}"] if excluded else [])

    def _credentials(self) -> list[str]:
        """Return the lines that give a pilot the connection's key: in the job's own environment, in no file of ours."""
        name = "export DASK_DISTRIBUTED__COMM__"
        certificate, key = shlex.quote(self.hello.certificate), shlex.quote(self.hello.key)
        return [
            f"{name}REQUIRE_ENCRYPTION=True", f"{name}TLS__CA_FILE={certificate}",
            f"{name}TLS__WORKER__CERT={certificate}", f"{name}TLS__WORKER__KEY={key}",
            "export DASK_DISTRIBUTED__WORKER__HTTP__ROUTES='[]' OMP_NUM_THREADS=1",
        ]  # fmt: skip

    def _get_worker_security(self, security: Security) -> None:
        """Write no key file: pilots find the key in their environment."""

    def _update_worker_status(self, op: str, msg: Any) -> None:
        """Only note it: what becomes of a lost pilot is the foreman's to decide."""
        Cluster._update_worker_status(self, op, msg)

    def shown_script(self) -> str:
        """Return the job's script for people: without the key."""
        return str(self.job_script()).replace(self.hello.key, "…").replace(self.hello.certificate, "…")

    def check(self) -> None:
        """Ask Slurm whether it would take a pilot.

        Raises:
            ValidationError: It would not; with its words. Or the policy does not allow it.
        """
        done = self._submissions.gate(("sbatch", "--test-only"), self.job_script())
        if done.returncode:
            said = " ".join(done.stderr.split())[:500]
            raise ValidationError(f"Slurm refuses pilots of this kind: {said}", hint="`sinfo` shows what there is.")

    @property
    def refused(self) -> str:
        """Why sbatch refused a pilot, empty if it did not."""
        return next((job.refused for job in self.workers.values() if job.refused), "")

    @refused.setter
    def refused(self, text: str) -> None:
        for name in [name for name, job in self.workers.items() if job.refused]:
            self.forget(name)

    def crowded_out(self) -> str:
        """Strike out pilots for which there was no place; return what the policy said, empty if there were none."""
        said = {name: job.crowded for name, job in self.workers.items() if job.crowded}
        for name in said:
            self.forget(name)
        return next(iter(said.values()), "")

    @property
    def submitting(self) -> bool:
        """True while pilots wait for sbatch."""
        return any(name not in self.workers for name in self.worker_spec)

    def direct(self, exclude: list[str], comment: str) -> None:
        """Let later pilots avoid machines, and say what they are for."""
        self._job_kwargs["job_extra_directives"] = self._directives(tuple(exclude), comment)

    def add(self, count: int) -> None:
        """Submit so many pilots more."""
        for _ in range(count):
            self.worker_spec.update(self.new_worker_spec())
        self._settle()

    def retire(self, names: list[str], why: str = "") -> None:
        """End pilots, and leave a note why: for Slurm they are cancelled, whoever did it."""
        if why:
            note_ends(self.hello.folder, [job.job_id for name in names if (job := self.workers.get(name))], why)
        for name in names:
            self.worker_spec.pop(name, None)
        if names:
            self._settle()

    def forget(self, name: str) -> None:
        """Strike out a pilot whose job is over."""
        self.worker_spec.pop(name, None)
        job = self.workers.pop(name, None)
        if job is not None:
            job.status = Status.closed

    def _settle(self) -> None:
        task = asyncio.ensure_future(self._correct_state())
        self._futures.add(task)
        task.add_done_callback(self._futures.discard)

    def last_words(self, job_id: str) -> str:
        """Return the end of what a pilot wrote."""
        for path in sorted(self.logs.glob(f"*{job_id}.err")):
            text = Path(path).read_text(errors="replace").strip()
            if text:
                return f"The end of its log: {text[-TAIL:]}"
        return ""

    async def dissolve(self) -> None:
        """End the scheduler; the jobs are cancelled already."""
        self.worker_spec.clear()
        self.workers.clear()
        for job in self._created:
            job.status = Status.closed
        await self.close()
