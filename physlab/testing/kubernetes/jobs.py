"""The Job controller: makes pods, counts how they end, and tells when a job is over, in the steps of the real one."""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass, field

from physlab.testing.kubernetes import failures, indexes
from physlab.testing.kubernetes.controller import Controller, Key
from physlab.testing.kubernetes.defaults import TRACKING
from physlab.testing.kubernetes.kinds import JOBS, PODS
from physlab.testing.kubernetes.objects import (
    TERMINAL,
    Obj,
    condition,
    controlled_by,
    deleting,
    is_true,
    name_of,
    namespace_of,
    now,
    owner_reference,
    phase_of,
    seconds,
    set_condition,
    suffix,
    uid_of,
)
from physlab.testing.kubernetes.plane import ControlPlane
from physlab.testing.kubernetes.refusals import Refusal
from physlab.testing.kubernetes.store import Change

LONGEST_S = 600.0
_REACHED = ("CompletionsReached", "Reached expected number of succeeded pods")
_DEADLINE = ("DeadlineExceeded", "Job was active longer than specified deadline")


@dataclass
class _View:
    """A job and its pods, sorted.

    Attributes:
        active: Pods that wait or run.
        terminating: Pods that are told to end.
        succeeded: Pods that ended well and are not counted yet.
        failed: Pods that failed and are not counted yet.
        status: The job's status as it is going to be.
    """

    job: Obj
    pods: list[Obj]
    status: Obj
    active: list[Obj] = field(default_factory=list)
    terminating: list[Obj] = field(default_factory=list)
    succeeded: list[Obj] = field(default_factory=list)
    failed: list[Obj] = field(default_factory=list)

    def count(self, word: str) -> int:
        """Return how many pods ended so, with those not counted yet."""
        return int(self.status.get(word) or 0) + len(self.succeeded if word == "succeeded" else self.failed)


class JobController(Controller):
    """Looks after jobs."""

    kind = JOBS

    def keys(self, change: Change) -> list[Key]:
        """A change of a job, or of a pod of one."""
        if change.kind is not PODS:
            return super().keys(change)
        owners = change.obj["metadata"].get("ownerReferences") or []
        return [(namespace_of(change.obj), one["name"]) for one in owners if one["kind"] == "Job"]

    def look(self, namespace: str, name: str) -> None:
        """Bring a job one step further."""
        job = self.store.find(JOBS, namespace, name)
        if job is None or finished(job):
            self._release_orphans(namespace, name, job)
            return
        view = self._sorted(job)
        spec, status = job["spec"], view.status
        if "startTime" not in status and not spec["suspend"]:
            status["startTime"] = now()
            if spec.get("activeDeadlineSeconds") is not None:
                self.again((namespace, name), spec["activeDeadlineSeconds"])
        verdict = self._verdict(view)
        if verdict:
            self._interim(view, verdict)
            self._end_active(view)
        elif not deleting(job):
            self._suspend(view) if spec["suspend"] else self._manage(view)
        self._write(view)

    # --- what is there ----------------------------------------------------------------------------------------------

    def _pods(self, job: Obj) -> list[Obj]:
        return [pod for pod in self.store.all(PODS, namespace_of(job)) if controlled_by(pod, uid_of(job))]

    def _sorted(self, job: Obj) -> _View:
        view = _View(job, self._pods(job), copy.deepcopy(job.get("status") or {}))
        patient = job["spec"]["podReplacementPolicy"] == "Failed"
        for pod in view.pods:
            phase, tracked = phase_of(pod), TRACKING in (pod["metadata"].get("finalizers") or [])
            if phase not in TERMINAL:
                (view.terminating if deleting(pod) else view.active).append(pod)
            if not tracked:
                continue
            if phase == "Succeeded":
                view.succeeded.append(pod)
            elif phase == "Failed" or (deleting(pod) and not patient):
                view.failed.append(pod)  # one that is told to end has failed at once, unless it succeeded
        return view

    # --- is it over? ------------------------------------------------------------------------------------------------

    def _verdict(self, view: _View) -> tuple[str, str, str] | None:
        """Return condition, reason and message of a job that is to end; None while it goes on."""
        spec = view.job["spec"]
        for kind in ("FailureTarget", "SuccessCriteriaMet"):
            if (already := condition({"status": view.status}, kind)) is not None:
                return kind, already["reason"], already["message"]
        if why := failures.failing(view.job, view.failed):
            return "FailureTarget", *why
        failed = view.count("failed") - sum(failures.ignored(view.job, pod) for pod in view.failed)
        if (view.failed and failed > spec["backoffLimit"]) or failures.restarts_exceeded(spec, view.active):
            return "FailureTarget", "BackoffLimitExceeded", "Job has reached the specified backoff limit"
        deadline, begun = spec.get("activeDeadlineSeconds"), view.status.get("startTime")
        if deadline is not None and begun and time.time() - seconds(begun) >= deadline:
            return "FailureTarget", *_DEADLINE
        return ("SuccessCriteriaMet", *_REACHED) if self._reached(view) else None

    @staticmethod
    def _reached(view: _View) -> bool:
        spec = view.job["spec"]
        completions: int | None = spec.get("completions")
        if indexes.indexed(view.job):
            return len(indexes.completed(view.job, view.succeeded)) >= (completions or 0)
        if completions is None:
            return view.count("succeeded") > 0 and not view.active
        return view.count("succeeded") >= completions

    @staticmethod
    def _interim(view: _View, verdict: tuple[str, str, str]) -> None:
        conditions = view.status.setdefault("conditions", [])
        if condition({"status": view.status}, verdict[0]) is None:
            conditions.append(made_condition(*verdict))

    # --- pods -------------------------------------------------------------------------------------------------------

    def _end_active(self, view: _View) -> None:
        for pod in view.active:
            self.plane.delete(PODS, pod)
            self.plane.event(view.job, "SuccessfulDelete", f"Deleted pod: {name_of(pod)}", component="job-controller")
        view.active = []
        self.again((namespace_of(view.job), name_of(view.job)))

    def _suspend(self, view: _View) -> None:
        if view.active:
            self._end_active(view)
        if not is_true({"status": view.status}, "Suspended"):
            view.status.pop("startTime", None)
            new = made_condition("Suspended", "JobSuspended", "Job suspended")
            set_condition(view.status.setdefault("conditions", []), new)
            self.plane.event(view.job, "Suspended", "Job suspended", component="job-controller")

    def _manage(self, view: _View) -> None:
        job, spec = view.job, view.job["spec"]
        if is_true({"status": view.status}, "Suspended"):
            new = {**made_condition("Suspended", "JobResumed", "Job resumed"), "status": "False"}
            set_condition(view.status["conditions"], new)
            view.status["startTime"] = now()
            self.plane.event(job, "Resumed", "Job resumed", component="job-controller")
        there = len(view.active) + (len(view.terminating) if spec["podReplacementPolicy"] == "Failed" else 0)
        wanted = spec["parallelism"]
        if spec.get("completions") is not None:
            done = len(indexes.completed(job, view.succeeded)) if indexes.indexed(job) else view.count("succeeded")
            wanted = min(wanted, spec["completions"] - done)
        elif view.count("succeeded"):
            wanted = there
        if there > wanted:
            for pod in view.active[wanted:]:
                self.plane.delete(PODS, pod)
                self.plane.event(job, "SuccessfulDelete", f"Deleted pod: {name_of(pod)}", component="job-controller")
            return
        pause = self._pause(view) if there < wanted else 0
        if pause > 0:
            self.again((namespace_of(job), name_of(job)), pause)
            return
        for index in indexes.free(job, [*view.active, *view.terminating], view.succeeded, wanted - there):
            self._make(view, index)

    def _pause(self, view: _View) -> float:
        """Return how long the next pod has to wait after those that failed [s]."""
        ended = [(failures.ended_at(pod), phase_of(pod)) for pod in view.pods if phase_of(pod) in TERMINAL]
        ended += [(seconds(pod["metadata"]["deletionTimestamp"]), "Failed") for pod in view.terminating if not ended]
        row, last = 0, 0.0
        for moment, phase in sorted(ended):
            row, last = (row + 1, moment) if phase == "Failed" else (0, moment)
        if not row:
            return 0
        pause: float = min(self.plane.plan.job_backoff_s * 2 ** min(row - 1, 30), LONGEST_S)
        return last + pause - time.time()

    def _make(self, view: _View, index: int | None) -> None:
        job = view.job
        body = copy.deepcopy(job["spec"]["template"])
        metadata = body.setdefault("metadata", {})
        middle = "" if index is None else f"{index}-"
        metadata["name"] = f"{name_of(job)[:57]}-{middle}{suffix()}"
        metadata["ownerReferences"] = [owner_reference(job)]
        metadata["finalizers"] = [*(metadata.get("finalizers") or []), TRACKING]
        if index is not None:
            indexes.mark(body, name_of(job), index)
        try:
            pod = self.plane.create(PODS, namespace_of(job), body)
        except Refusal as refusal:
            said = f"Error creating: {refusal.message}"
            self.plane.event(job, "FailedCreate", said, warning=True, component="job-controller")
            self.again((namespace_of(job), name_of(job)), 1)
            return
        view.active.append(pod)
        self.plane.event(job, "SuccessfulCreate", f"Created pod: {name_of(pod)}", component="job-controller")

    # --- the status, in the steps of the real one -------------------------------------------------------------------

    def _write(self, view: _View) -> None:
        status = view.status
        ready = sum(is_true(pod, "Ready") for pod in view.active)
        terminating = sum(self.store.current(PODS, pod) is not None for pod in view.terminating)
        numbers = {"active": len(view.active), "ready": ready, "terminating": terminating}
        status.update(numbers)
        if not numbers["active"]:
            del status["active"]
        counted = {name: [uid_of(pod) for pod in pods] for name, pods in
                   (("succeeded", view.succeeded), ("failed", view.failed)) if pods}  # fmt: skip
        status["uncountedTerminatedPods"] = counted
        job = self._put(view.job, status)
        if counted:
            for pod in [*view.succeeded, *view.failed]:
                release(self.plane, pod)
            status["uncountedTerminatedPods"] = {}
            ignored = sum(failures.ignored(view.job, pod) for pod in view.failed)
            for word, number in (("succeeded", len(view.succeeded)), ("failed", len(view.failed) - ignored)):
                if number:
                    status[word] = int(status.get(word) or 0) + number
            if indexes.indexed(view.job) and view.succeeded:
                status["completedIndexes"] = indexes.written(indexes.completed(view.job, view.succeeded))
        over = self._terminal(view, status)
        job = self._put(job, status)
        if over:
            said = ("Completed", "Job completed") if over[0] == "Complete" else over[1:]
            self.plane.event(job, *said, warning=over[0] == "Failed", component="job-controller")

    def _put(self, job: Obj, status: Obj) -> Obj:
        written = copy.deepcopy(status)
        return self.store.update(JOBS, job, lambda target: target.update(status=written))

    def _terminal(self, view: _View, status: Obj) -> tuple[str, str, str] | None:
        if view.active or any(self.store.current(PODS, pod) is not None for pod in view.terminating):
            return None
        if any(phase_of(pod) not in TERMINAL for pod in self._pods(view.job)):
            return None
        for interim, final in (("SuccessCriteriaMet", "Complete"), ("FailureTarget", "Failed")):
            if (found := condition({"status": status}, interim)) is not None:
                status["conditions"].append(made_condition(final, found["reason"], found["message"]))
                if final == "Complete":
                    status["completionTime"] = now()
                return final, found["reason"], found["message"]
        return None

    def _release_orphans(self, namespace: str, name: str, job: Obj | None) -> None:
        """Let go of pods whose job is gone or over: nobody counts them."""
        for pod in list(self.store.all(PODS, namespace)):
            owners = pod["metadata"].get("ownerReferences") or []
            mine = any(one["kind"] == "Job" and one["name"] == name for one in owners)
            same = job is not None and controlled_by(pod, uid_of(job))
            if mine and (job is None or (same and (phase_of(pod) in TERMINAL or deleting(pod)))):
                release(self.plane, pod)


def release(plane: ControlPlane, pod: Obj) -> None:
    """Take the mark off a pod that says that its end is still to be counted."""
    store = plane.store
    current = store.current(PODS, pod)
    if current is None or TRACKING not in (current["metadata"].get("finalizers") or []):
        return

    def change(target: Obj) -> None:
        left = [name for name in target["metadata"]["finalizers"] if name != TRACKING]
        target["metadata"]["finalizers"] = left
        if not left:
            del target["metadata"]["finalizers"]

    store.update(PODS, current, change)


def made_condition(kind: str, reason: str, message: str) -> Obj:
    """Return a condition of a job that holds."""
    moment = now()
    return {
        "type": kind, "status": "True", "lastProbeTime": moment, "lastTransitionTime": moment, "reason": reason,
        "message": message,
    }  # fmt: skip


def finished(job: Obj) -> bool:
    """Return whether a job is over."""
    return is_true(job, "Complete") or is_true(job, "Failed")
