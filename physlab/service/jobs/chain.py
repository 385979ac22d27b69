"""A workflow as jobs: each starts when those before it succeeded, and takes what they made."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from physlab.errors import PhyslabError
from physlab.lab import Lab
from physlab.model.job import JobStatus
from physlab.service.jobs.attempts import Attempt, Policy, is_worth_another, new_tries
from physlab.service.jobs.cluster import Cluster
from physlab.service.jobs.finish import failure
from physlab.service.jobs.ledger import KnownJob
from physlab.service.jobs.persist import to_the_end
from physlab.service.jobs.submit import Asked, new_token, submit_one
from physlab.service.jobs.watch import Say
from physlab.service.jobs.workflow import Step
from physlab.sites.slurm import batch_script


class Chain:
    """The steps of a workflow on a cluster.

    Args:
        lab: The lab.
        cluster: Where they run.
        steps: The steps, each after those that it needs.
        policy: Whether a failed step is submitted again.
    """

    def __init__(self, lab: Lab, cluster: Cluster, steps: Sequence[Step], policy: Policy) -> None:
        self._lab, self._cluster, self._steps, self._policy = lab, cluster, steps, policy
        self._asked = {step.name: step.asked for step in steps}
        self._makes: dict[str, set[str]] = {step.name: set(step.asked.request.makes) for step in steps}
        for step in steps:
            for file, maker in step.takes.items():
                self._makes[maker].add(file)
        self._folders: dict[str, Path] = {}
        self._attempts: dict[str, Attempt] = {}

    def scripts(self) -> str:
        """Return the scripts that would be submitted, one after another."""
        self._place(self._steps)
        texts = []
        for step in self._steps:
            folder = self._folders[step.name]
            request = self._cluster.complete(self._wired(step).request).model_copy(update={"token": folder.name})
            waits = f"; starts after: {', '.join(step.after)}" if step.after else ""
            texts.append(f"# step {step.name}{waits}\n{batch_script(request, str(folder))}")
        return "\n".join(texts)

    def submit(self) -> list[KnownJob]:
        """Submit all steps, or none.

        Raises:
            ValidationError: A step is refused.
        """
        self._place(self._steps)
        self._cluster.client.gate.require_place(len(self._steps))
        for step in self._steps:
            request = self._cluster.complete(self._wired(step).request)
            self._cluster.client.check(request, self._folders[step.name])
        self._submit(self._steps)
        return [self._attempts[step.name].job for step in self._steps]

    def finish(self, timeout_s: float, say: Say | None) -> list[tuple[KnownJob, JobStatus]]:
        """Wait for the steps; those behind a failed one are cancelled, and run when it succeeds at another attempt.

        Raises:
            ComputationError: A step failed; with the end of its log, and which steps were not run.
            TimeLimitError: They did not end in time; they go on.
        """
        deadline, going = time.monotonic() + timeout_s, list(self._steps)
        while True:
            attempts = [self._attempts[step.name] for step in going]
            left_s = deadline - time.monotonic()
            to_the_end(self._lab, self._cluster, attempts, left_s, say, self._cancel_behind)
            failed = [name for name, attempt in self._attempts.items() if attempt.status is None or
                      attempt.status.state != "completed"]  # fmt: skip
            roots = [name for name in failed if not any(name in self._behind(other) for other in failed)]
            if not failed:
                return self._told()
            for name in roots:
                if not is_worth_another(self._cluster, self._attempts[name], self._policy):
                    raise self._failure(name)
                self._asked[name] = self._attempts[name].asked
            going = [step for step in self._steps if step.name in failed]
            self._place(going)
            self._submit(going)

    def _place(self, steps: Sequence[Step]) -> None:
        """Give steps new folders."""
        token = new_token(self._asked[steps[0].name].request.model_copy(update={"name": "workflow"}))
        for number, step in enumerate(steps, 1):
            self._folders[step.name] = self._cluster.root / f"{token}.{number}"

    def _wired(self, step: Step) -> Asked:
        """Return a step's job with what it takes from the folders of others, and what it must make for them."""
        asked = self._asked[step.name]
        takes = {file: str(self._folders[maker] / file) for file, maker in step.takes.items()}
        makes = tuple(sorted(self._makes[step.name]))
        return replace(asked, request=asked.request.model_copy(update={"takes": takes, "makes": makes}))

    def _submit(self, steps: Sequence[Step]) -> None:
        done: dict[str, KnownJob] = {}
        try:
            for step in steps:
                asked = self._wired(step)
                after = (*asked.request.after, *(done[name].job_id for name in step.after if name in done))
                asked = replace(asked, request=asked.request.model_copy(update={"after": after}))
                job = submit_one(self._lab, self._cluster, asked, folder=self._folders[step.name])
                done[step.name] = replace(job, name=step.name)
        except BaseException:
            self._cluster.client.cancel(job.job_id for job in done.values())
            raise
        for name, job in done.items():
            before = self._attempts.get(name)
            tries = before.tries if before else new_tries(self._cluster, self._asked[name], self._policy)
            count = before.job.attempt + 1 if before else 1
            self._attempts[name] = Attempt(self._asked[name], replace(job, attempt=count), tries)

    def _behind(self, name: str) -> list[str]:
        """Return the steps that cannot run without one."""
        found: list[str] = []
        for step in self._steps:  # in order
            if name in step.after or set(found) & set(step.after):
                found.append(step.name)
        return found

    def _cancel_behind(self, job: KnownJob) -> None:
        self._cluster.client.cancel(self._attempts[name].job.job_id for name in self._behind(job.name))

    def _told(self) -> list[tuple[KnownJob, JobStatus]]:
        attempts = [self._attempts[step.name] for step in self._steps]
        unmade = next((attempt.unmade for attempt in attempts if attempt.unmade is not None), None)
        if unmade is not None:
            raise unmade
        return [(attempt.job, attempt.status) for attempt in attempts if attempt.status is not None]

    def _failure(self, name: str) -> PhyslabError:
        attempt, behind = self._attempts[name], self._behind(name)
        status = attempt.status or JobStatus(job_id=attempt.job.job_id, state="unknown")
        error = failure(self._cluster, attempt.job, status)
        states = {name: item.status.model_dump(mode="json") for name, item in self._attempts.items() if item.status}
        tried = f" It was submitted {attempt.job.attempt} times." if attempt.job.attempt > 1 else ""
        return type(error)(
            f"The step '{name}' failed: {error.message}{tried}",
            hint=f"{'Not run: ' + ', '.join(behind) + '. ' if behind else ''}{error.hint}",
            details={**error.details, "step": name, "not_run": behind, "steps": states},
        )
