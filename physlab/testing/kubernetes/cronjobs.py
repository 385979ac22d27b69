"""The CronJob controller: a job when it is due, unless one still runs and that is not wanted."""

from __future__ import annotations

import copy
from datetime import UTC, datetime

from physlab.testing.kubernetes.controller import Controller, Key
from physlab.testing.kubernetes.jobs import finished
from physlab.testing.kubernetes.kinds import CRONJOBS, JOBS
from physlab.testing.kubernetes.objects import (
    Obj,
    controlled_by,
    deleting,
    is_true,
    name_of,
    namespace_of,
    owner_reference,
    seconds,
    stamp,
    uid_of,
)
from physlab.testing.kubernetes.refusals import Refusal
from physlab.testing.kubernetes.schedule import Schedule
from physlab.testing.kubernetes.store import Change

_COMPONENT = "cronjob-controller"


class CronJobController(Controller):
    """Looks after cron jobs."""

    kind = CRONJOBS

    def keys(self, change: Change) -> list[Key]:
        """A change of a cron job, or of a job of one."""
        if change.kind is not JOBS:
            return super().keys(change)
        owners = change.obj["metadata"].get("ownerReferences") or []
        return [(namespace_of(change.obj), one["name"]) for one in owners if one["kind"] == "CronJob"]

    def look(self, namespace: str, name: str) -> None:
        """Write down which jobs run, forget old ones, and see what is due."""
        cron = self.store.find(CRONJOBS, namespace, name)
        if cron is None or deleting(cron):
            return
        cron = self._account(cron)
        self._forget(cron)
        if cron["spec"]["suspend"]:
            return
        now = datetime.now(UTC)
        schedule = Schedule(cron["spec"]["schedule"], cron["spec"].get("timeZone"))
        since = seconds(cron["status"].get("lastScheduleTime") or cron["metadata"]["creationTimestamp"])
        due = schedule.next(datetime.fromtimestamp(since, UTC))
        latest = None
        while due is not None and due <= now:
            latest, due = due, schedule.next(due)
        if latest is not None and self._in_time(cron, latest, now):
            self.start(cron, latest)
        if due is not None:
            self.again((namespace, name), (due - now).total_seconds() + 0.01)

    @staticmethod
    def _in_time(cron: Obj, due: datetime, now: datetime) -> bool:
        limit = cron["spec"].get("startingDeadlineSeconds")
        return limit is None or (now - due).total_seconds() <= limit

    def _jobs(self, cron: Obj) -> list[Obj]:
        return [job for job in self.store.all(JOBS, namespace_of(cron)) if controlled_by(job, uid_of(cron))]

    def _account(self, cron: Obj) -> Obj:
        jobs = self._jobs(cron)
        known = {one["uid"] for one in cron["status"].get("active") or []}
        active = [
            {"apiVersion": "batch/v1", "kind": "Job", "name": name_of(job), "namespace": namespace_of(job),
             "uid": uid_of(job), "resourceVersion": job["metadata"]["resourceVersion"]}
            for job in jobs if not finished(job)
        ]  # fmt: skip
        for job in jobs:
            if uid_of(job) in known and finished(job):
                how = "Complete" if is_true(job, "Complete") else "Failed"
                said = f"Saw completed job: {name_of(job)}, condition: {how}"
                self.plane.event(cron, "SawCompletedJob", said, component=_COMPONENT)
        good = [job["status"]["completionTime"] for job in jobs if is_true(job, "Complete")]
        last = max([*good, cron["status"].get("lastSuccessfulTime") or ""]) or None
        if {one["uid"] for one in active} == known and last == cron["status"].get("lastSuccessfulTime"):
            return cron
        return self.plane.status(CRONJOBS, cron, active=active or None, lastSuccessfulTime=last)

    def _forget(self, cron: Obj) -> None:
        spec = cron["spec"]
        over = sorted(
            (job for job in self._jobs(cron) if finished(job)), key=lambda job: str(job["status"]["startTime"])
        )
        for kind, limit in (
            ("Complete", spec["successfulJobsHistoryLimit"]),
            ("Failed", spec["failedJobsHistoryLimit"]),
        ):
            those = [job for job in over if is_true(job, kind)]
            for job in those[: max(0, len(those) - limit)]:
                self.plane.delete(JOBS, job, "Background")
                self.plane.event(cron, "SuccessfulDelete", f"Deleted job {name_of(job)}", component=_COMPONENT)

    def start(self, cron: Obj, due: datetime) -> bool:
        """Start the job of a minute; tell whether it was started."""
        policy = cron["spec"]["concurrencyPolicy"]
        running = [job for job in self._jobs(cron) if not finished(job)]
        if running and policy == "Forbid":
            said = "Not starting job because prior execution is running and concurrency policy is Forbid"
            self.plane.event(cron, "JobAlreadyActive", said, component=_COMPONENT)
            return False
        for job in running if policy == "Replace" else ():
            self.plane.delete(JOBS, job, "Background")
            self.plane.event(cron, "SuccessfulDelete", f"Deleted job {name_of(job)}", component=_COMPONENT)
        template = copy.deepcopy(cron["spec"]["jobTemplate"])
        metadata = template.get("metadata") or {}
        moment = due.strftime("%Y-%m-%dT%H:%M:%SZ")
        metadata["annotations"] = {
            **(metadata.get("annotations") or {}), "batch.kubernetes.io/cronjob-scheduled-timestamp": moment
        }  # fmt: skip
        metadata.update(
            name=f"{name_of(cron)}-{int(due.timestamp()) // 60}", ownerReferences=[owner_reference(cron)]
        )  # fmt: skip
        try:
            job = self.plane.create(JOBS, namespace_of(cron), {"metadata": metadata, "spec": template["spec"]})
        except Refusal as refusal:
            if refusal.reason != "AlreadyExists":
                said = f"Error creating job: {refusal.message}"
                self.plane.event(cron, "FailedCreate", said, warning=True, component=_COMPONENT)
            return False
        self.plane.event(cron, "SuccessfulCreate", f"Created job {name_of(job)}", component=_COMPONENT)
        self.plane.status(CRONJOBS, cron, lastScheduleTime=stamp(due.timestamp()))
        return True
