"""What tidies up: objects whose owner is gone, namespaces that are deleted, jobs whose time is over, claims, quotas."""

from __future__ import annotations

import asyncio
import base64
import time

from physlab.testing.kubernetes import quota
from physlab.testing.kubernetes.controller import Controller
from physlab.testing.kubernetes.jobs import finished
from physlab.testing.kubernetes.kinds import BY_PLURAL, EVENTS, JOBS, NAMESPACES, Kind
from physlab.testing.kubernetes.objects import Obj, deleting, namespace_of, seconds, uid_of
from physlab.testing.kubernetes.plane import FOREGROUND, ORPHAN, ControlPlane
from physlab.testing.kubernetes.store import Change

CLAIMS, ACCOUNTS, CONFIGS, SECRETS = (
    BY_PLURAL[name] for name in ("persistentvolumeclaims", "serviceaccounts", "configmaps", "secrets")
)


class Collector:
    """Deletes what belongs to nobody any more, a moment later, as the real one does."""

    def __init__(self, plane: ControlPlane) -> None:
        self.plane, self.store = plane, plane.store
        self.store.listen(self._heard)

    def _heard(self, change: Change) -> None:
        obj = change.obj
        if change.type == "DELETED" and change.kind is not EVENTS:
            loop = asyncio.get_running_loop()
            loop.call_later(self.plane.plan.collect_s, self._owner_gone, uid_of(obj))
            loop.call_soon(self._dependent_gone, obj)
        elif change.type == "MODIFIED" and deleting(obj):
            names = obj["metadata"].get("finalizers") or []
            if FOREGROUND in names:
                asyncio.get_running_loop().call_soon(self._foreground, change.kind, obj)
            if ORPHAN in names:
                asyncio.get_running_loop().call_soon(self._orphan, change.kind, obj)

    def _dependents(self, uid: str) -> list[tuple[Kind, Obj]]:
        return [
            (kind, obj)
            for kind, obj in self.store.everything()
            if any(owner["uid"] == uid for owner in obj["metadata"].get("ownerReferences") or [])
        ]

    def _owner_gone(self, uid: str) -> None:
        there = {uid_of(obj) for _, obj in self.store.everything()}
        for kind, obj in self._dependents(uid):
            if not deleting(obj) and not any(one["uid"] in there for one in obj["metadata"]["ownerReferences"]):
                self.plane.delete(kind, obj, "Background")

    def _dependent_gone(self, obj: Obj) -> None:
        for owner in obj["metadata"].get("ownerReferences") or []:
            for kind, one in self.store.everything():
                if uid_of(one) == owner["uid"] and deleting(one):
                    self._foreground(kind, one)

    def _foreground(self, kind: Kind, obj: Obj) -> None:
        current = self.store.current(kind, obj)
        if current is None or FOREGROUND not in (current["metadata"].get("finalizers") or []):
            return
        dependents = self._dependents(uid_of(current))
        for its_kind, one in dependents:
            if not deleting(one):
                policy = "Foreground" if its_kind is JOBS else "Background"
                self.plane.delete(its_kind, one, policy)
        if not self._dependents(uid_of(current)):
            self._finish(kind, current, FOREGROUND)

    def _orphan(self, kind: Kind, obj: Obj) -> None:
        current = self.store.current(kind, obj)
        if current is None:
            return
        for its_kind, one in self._dependents(uid_of(current)):

            def change(target: Obj) -> None:
                owners = target["metadata"].pop("ownerReferences")
                left = [owner for owner in owners if owner["uid"] != uid_of(obj)]
                if left:
                    target["metadata"]["ownerReferences"] = left

            self.store.update(its_kind, one, change)
        self._finish(kind, current, ORPHAN)

    def _finish(self, kind: Kind, obj: Obj, finalizer: str) -> None:
        current = self.store.current(kind, obj)
        if current is None:
            return

        def change(target: Obj) -> None:
            left = [name for name in target["metadata"].get("finalizers") or [] if name != finalizer]
            target["metadata"]["finalizers"] = left
            if not left:
                del target["metadata"]["finalizers"]

        self.store.update(kind, current, change)


class NamespaceController(Controller):
    """Fills new namespaces, and empties those that are deleted."""

    kind = NAMESPACES

    def look(self, namespace: str, name: str) -> None:
        """Bring a namespace one step further."""
        obj = self.store.find(NAMESPACES, "", name)
        if obj is None:
            return
        if not deleting(obj):
            self._fill(name)
            return
        left = [(kind, one) for kind, one in self.store.everything() if namespace_of(one) == name]
        for kind, one in left:
            if not deleting(one):
                self.plane.delete(kind, one, "Background")
        if any(namespace_of(one) == name for _, one in self.store.everything()):
            self.again((namespace, name), 0.05)
            return
        self.store.update(NAMESPACES, obj, lambda target: target["spec"].pop("finalizers", None))

    def _fill(self, name: str) -> None:
        if self.store.find(ACCOUNTS, name, "default") is None:
            self.plane.create(ACCOUNTS, name, {"metadata": {"name": "default"}})
        if self.store.find(CONFIGS, name, "kube-root-ca.crt") is None:
            self.plane.create(
                CONFIGS, name, {"metadata": {"name": "kube-root-ca.crt"}, "data": {"ca.crt": self.plane.authority}}
            )


class TidyController(Controller):
    """Deletes jobs some time after they ended, binds claims, counts for quotas, and gives tokens to secrets."""

    kind = JOBS

    def keys(self, change: Change) -> list[tuple[str, str]]:
        """Every change in a namespace but events."""
        return [] if change.kind is EVENTS else [(namespace_of(change.obj), "")]

    def look(self, namespace: str, name: str) -> None:
        """Tidy a namespace."""
        if not namespace:
            return
        quota.write(self.store, namespace)
        for claim in list(self.store.all(CLAIMS, namespace)):
            self._bind(claim)
        for secret in list(self.store.all(SECRETS, namespace)):
            self._token(secret)
        for job in list(self.store.all(JOBS, namespace)):
            self._expire(job)

    def _expire(self, job: Obj) -> None:
        keep = job["spec"].get("ttlSecondsAfterFinished")
        if keep is None or not finished(job) or deleting(job):
            return
        ended = max(seconds(one["lastTransitionTime"]) for one in job["status"]["conditions"])
        left = ended + keep - time.time()
        if left > 0:
            self.again((namespace_of(job), ""), left)
        else:
            self.plane.delete(JOBS, job, "Foreground")

    def _bind(self, claim: Obj) -> None:
        if claim["status"].get("phase") != "Pending":
            return
        if claim["spec"].get("storageClassName") != "standard":
            said = f'storageclass.storage.k8s.io "{claim["spec"].get("storageClassName")}" not found'
            self.plane.event(
                claim, "ProvisioningFailed", said, warning=True, component="persistentvolume-controller"
            )  # fmt: skip
            return
        asked = claim["spec"].get("resources", {}).get("requests", {}).get("storage", "1Gi")
        self.store.update(
            CLAIMS, claim, lambda one: one["spec"].update(volumeName=f"pvc-{uid_of(claim)}")
        )  # fmt: skip
        self.plane.status(
            CLAIMS, claim, phase="Bound", accessModes=claim["spec"].get("accessModes"), capacity={"storage": asked}
        )  # fmt: skip

    def _token(self, secret: Obj) -> None:
        account = (secret["metadata"].get("annotations") or {}).get("kubernetes.io/service-account.name")
        if secret.get("type") != "kubernetes.io/service-account-token" or (secret.get("data") or {}).get("token"):
            return
        if account and self.store.find(ACCOUNTS, namespace_of(secret), account):
            values = {
                "token": self.plane.gate.account_token(namespace_of(secret), account),
                "namespace": namespace_of(secret), "ca.crt": self.plane.authority,
            }  # fmt: skip
            data = {name: base64.b64encode(value.encode()).decode() for name, value in values.items()}
            self.store.update(SECRETS, secret, lambda one: one.update(data=data))
