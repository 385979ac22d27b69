"""The control plane: what it takes to make, change and delete an object, and the tasks that look after objects."""

from __future__ import annotations

import asyncio
import copy
import json
import re
import sys
import time
import uuid
from collections.abc import Coroutine
from typing import Any

from physlab.testing.kubernetes import defaults, patches, quota, rules
from physlab.testing.kubernetes.access import Gate
from physlab.testing.kubernetes.kinds import BY_PLURAL, EVENTS, NAMESPACES, PODS, Kind
from physlab.testing.kubernetes.objects import (
    TERMINAL,
    Obj,
    deleting,
    hexadecimal,
    name_of,
    namespace_of,
    now,
    phase_of,
    stamp,
    suffix,
    uid_of,
)
from physlab.testing.kubernetes.plan import ClusterPlan
from physlab.testing.kubernetes.refusals import Refusal, bad_request, conflict, forbidden, not_found
from physlab.testing.kubernetes.store import Store

FOREGROUND, ORPHAN = "foregroundDeletion", "orphan"
_KEPT = ("uid", "creationTimestamp", "resourceVersion", "generation", "namespace", "name", "deletionTimestamp",
         "deletionGracePeriodSeconds")  # fmt: skip
_WARN_JOB = (
    "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them or set "
    "propagationPolicy=Orphan to suppress this warning"
)


class ControlPlane:
    """The objects, who may touch them, and what happens to them.

    Attributes:
        store: The objects.
        gate: Who may do what.
        plan: How the cluster is.
        missing: Images that cannot be pulled.
        authority: The certificate that clients trust.
        port: Of the API.
    """

    def __init__(self, plan: ClusterPlan) -> None:
        self.plan, self.store = plan, Store()
        self.gate = Gate(self.store)
        self.missing = set(plan.missing_images)
        self.authority, self.port = "", 0
        self._said: dict[tuple[str, str, str], str] = {}  # name of the event that says it
        self._tasks: set[asyncio.Task[Any]] = set()

    def spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Do something beside all else; what it throws is printed."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            import traceback

            sys.stderr.write("".join(traceback.format_exception(error)))
            sys.stderr.flush()

    def create(self, kind: Kind, namespace: str, body: Obj, dry: bool = False) -> Obj:
        """Make an object, with all that admission does to it.

        Raises:
            Refusal: It is not admitted.
        """
        obj = copy.deepcopy(body)
        metadata = obj.get("metadata") or {}
        obj = {"apiVersion": kind.api_version, "kind": kind.kind, **obj, "metadata": metadata}
        if kind.namespaced:
            self._into(kind, namespace, metadata)
        if not metadata.get("name") and metadata.get("generateName"):
            metadata["name"] = f"{metadata['generateName'][:58]}{suffix()}"
        for name in ("resourceVersion", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "managedFields"):
            metadata.pop(name, None)
        metadata.update(uid=str(uuid.uuid4()), creationTimestamp=now(), generation=1)
        if kind.plural in ("pods", "jobs", "cronjobs", "persistentvolumeclaims", "resourcequotas"):
            obj.setdefault("spec", {})
        metadata.setdefault("name", "")
        defaults.fill(kind, obj, created=True)
        rules.check(kind, obj)
        if kind.namespaced:
            self._admit(kind, namespace, obj)
        if dry:
            return obj
        return self.store.add(kind, obj)

    def _into(self, kind: Kind, namespace: str, metadata: Obj) -> None:
        if metadata.get("namespace", namespace) != namespace:
            raise bad_request(
                f"the namespace of the provided object does not match the namespace sent on the request "
                f"({namespace} vs {metadata['namespace']})"
            )
        found = self.store.find(NAMESPACES, "", namespace)
        if found is None:
            raise not_found(NAMESPACES, namespace)
        metadata["namespace"] = namespace
        if deleting(found):
            why = f"unable to create new content in namespace {namespace} because it is being terminated"
            raise forbidden(kind, str(metadata.get("name") or ""), why)

    def _admit(self, kind: Kind, namespace: str, obj: Obj) -> None:
        if kind is PODS:
            account = obj["spec"]["serviceAccountName"]
            if self.store.find(BY_PLURAL["serviceaccounts"], namespace, account) is None:
                why = f'error looking up service account {namespace}/{account}: serviceaccount "{account}" not found'
                raise forbidden(kind, name_of(obj), why)
        if self.store.find(kind, namespace, name_of(obj)) is None and kind is not EVENTS:
            quota.admit(self.store, kind, namespace, obj)

    def replace(self, kind: Kind, old: Obj, new: Obj, part: str = "", dry: bool = False) -> Obj:
        """Put another object, or its status alone, in the place of one.

        Args:
            kind: The kind.
            old: The object.
            new: What it shall be.
            part: `status` for the status alone.
            dry: Only say what would be.

        Raises:
            Refusal: It may not be so, or somebody else was faster.
        """
        metadata = new.get("metadata") or {}
        if metadata.get("uid") not in (None, "", uid_of(old)):
            why = f"Precondition failed: UID in precondition: {metadata['uid']}, UID in object meta: {uid_of(old)}"
            raise conflict(kind, name_of(old), why)
        after = copy.deepcopy(old)
        if part == "status":
            after["status"] = new.get("status") or {}
        else:
            fresh = {key: value for key, value in new.items() if key != "status" or "status" not in old}
            after = {**copy.deepcopy(fresh), "apiVersion": kind.api_version, "kind": kind.kind}
            if "status" in old:
                after["status"] = copy.deepcopy(old["status"])
            kept = {name: old["metadata"][name] for name in _KEPT if name in old["metadata"]}
            after["metadata"] = {**{k: v for k, v in metadata.items() if k not in _KEPT}, **kept}
            defaults.fill(kind, after, created=False)
        rules.check(kind, after, old)
        if dry:
            return after

        def change(obj: Obj) -> None:
            obj.clear()
            obj.update(after)

        return self.store.update(kind, old, change, str(metadata.get("resourceVersion") or ""))

    def patch(self, kind: Kind, old: Obj, content_type: str, patch: Any, part: str = "", dry: bool = False) -> Obj:
        """Change an object by a patch.

        Raises:
            Refusal: The patch does not fit, or the result may not be so.
        """
        wanted = patches.apply(content_type, old, patch)
        given = patch.get("metadata", {}).get("resourceVersion") if isinstance(patch, dict) else None
        wanted["metadata"]["resourceVersion"] = given or ""
        return self.replace(kind, old, wanted, part, dry)

    def delete(self, kind: Kind, obj: Obj, policy: str | None = None, grace: int | None = None) -> tuple[Obj, str]:
        """Delete an object.

        Args:
            kind: The kind.
            obj: The object.
            policy: Foreground, Background or Orphan; what the kind does by itself if None.
            grace: Time for a pod to end by itself [s].

        Returns:
            What is left of it, or it as it was; and a warning, if there is something to warn of.
        """
        warning = _WARN_JOB if kind.plural == "jobs" and policy is None else ""
        if policy is None:
            policy = "Orphan" if kind.plural == "jobs" else "Background"
        finalizer = {"Foreground": FOREGROUND, "Orphan": ORPHAN}.get(policy)
        wait = self._grace(obj, grace) if kind is PODS else 0
        held = set(obj["metadata"].get("finalizers") or []) - {FOREGROUND, ORPHAN}
        if not wait and not held and not finalizer and kind is not NAMESPACES:
            return self.store.remove(kind, obj), warning

        def change(target: Obj) -> None:
            metadata = target["metadata"]
            others = [name for name in metadata.get("finalizers") or [] if name not in (FOREGROUND, ORPHAN)]
            if finalizer:
                others.append(finalizer)
            if others:
                metadata["finalizers"] = others
            else:
                metadata.pop("finalizers", None)
            if "deletionTimestamp" not in metadata:
                metadata["deletionTimestamp"] = stamp(time.time() + wait)
                metadata["deletionGracePeriodSeconds"] = wait
            else:
                metadata["deletionGracePeriodSeconds"] = min(metadata.get("deletionGracePeriodSeconds", wait), wait)
            if kind is NAMESPACES:
                target["status"]["phase"] = "Terminating"

        return self.store.update(kind, obj, change), warning

    @staticmethod
    def _grace(pod: Obj, asked: int | None) -> int:
        if not pod["spec"].get("nodeName") or phase_of(pod) in TERMINAL:
            return 0
        own = int(pod["spec"].get("terminationGracePeriodSeconds", 30))
        return own if asked is None else max(0, asked)

    def event(
        self, obj: Obj, reason: str, message: str, warning: bool = False, component: str = "kubelet", path: str = ""
    ) -> None:
        """Write an event about an object; the same one again counts up."""
        namespace = namespace_of(obj) or "default"
        about = {
            "apiVersion": obj["apiVersion"], "kind": obj["kind"], "name": name_of(obj), "namespace": namespace,
            "uid": uid_of(obj), "resourceVersion": obj["metadata"]["resourceVersion"],
        }  # fmt: skip
        if path:
            about["fieldPath"] = path
        said = (about["uid"], reason, message)
        old = self.store.find(EVENTS, namespace, self._said.get(said, ""))
        if old is not None:
            self.store.update(EVENTS, old, lambda one: one.update(count=one["count"] + 1, lastTimestamp=now()))
            return
        body = {
            "metadata": {"name": f"{name_of(obj)}.{hexadecimal(16)}"}, "involvedObject": about, "reason": reason,
            "message": message, "type": "Warning" if warning else "Normal", "source": {"component": component},
            "firstTimestamp": now(), "lastTimestamp": now(), "count": 1, "eventTime": None,
            "reportingComponent": component, "reportingInstance": "",
        }  # fmt: skip
        try:
            self._said[said] = name_of(self.create(EVENTS, namespace, body))
        except Refusal:  # its namespace is going or gone; a real one loses it likewise
            return

    def status(self, kind: Kind, obj: Obj, **changes: Any) -> Obj:
        """Set fields of an object's status; None takes one away. Returns the new revision."""

        def change(target: Obj) -> None:
            status = target.setdefault("status", {})
            for name, value in changes.items():
                if value is None:
                    status.pop(name, None)
                else:
                    status[name] = value

        return self.store.update(kind, obj, change)


def parse_body(raw: bytes, content_type: str) -> Any:
    """Return the body of a request.

    Raises:
        Refusal: It is in a language that is not spoken here, or broken.
    """
    if raw[:4] == b"k8s\0" or "protobuf" in content_type or "cbor" in content_type:
        message = "the body of the request was in an unknown format - accepted media types include: application/json"
        raise Refusal(415, "UnsupportedMediaType", message)
    if not raw:
        return None
    if "yaml" in content_type:
        from ruamel.yaml import YAML
        from ruamel.yaml.error import YAMLError

        try:
            return YAML(typ="safe").load(raw.decode())
        except YAMLError as error:
            raise bad_request(f"error decoding YAML: {error}") from error
    try:
        return json.loads(raw)
    except ValueError as error:
        offset = re.sub(r"\s+", " ", str(error))
        raise bad_request(f"couldn't get version/kind; json parse error: {offset}") from error
