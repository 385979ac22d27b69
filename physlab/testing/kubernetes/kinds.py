"""The kinds of objects that the cluster knows."""

from __future__ import annotations

from dataclasses import dataclass

CORE, BATCH, RBAC, AUTH = "", "batch", "rbac.authorization.k8s.io", "authorization.k8s.io"
VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


@dataclass(frozen=True)
class Kind:
    """A kind of object.

    Args:
        plural: Its name in addresses.
        kind: Its name in objects.
        group: API group; empty for the first.
        namespaced: Whether its objects lie in namespaces.
        short: Short names that kubectl knows.
        categories: Groups that kubectl knows, such as `all`.
        subresources: Each with its verbs.
        verbs: What can be done with it.
    """

    plural: str
    kind: str
    group: str = CORE
    namespaced: bool = True
    short: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: tuple[tuple[str, str, tuple[str, ...]], ...] = ()
    verbs: tuple[str, ...] = VERBS

    @property
    def api_version(self) -> str:
        """Group and version as objects name them."""
        return f"{self.group}/v1" if self.group else "v1"

    @property
    def resource(self) -> str:
        """Plural and group as messages name them."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def root(self) -> str:
        """First part of its addresses."""
        return f"/apis/{self.group}/v1" if self.group else "/api/v1"


_RW = ("get", "patch", "update")


def _status(kind: str) -> tuple[str, str, tuple[str, ...]]:
    return ("status", kind, _RW)


KINDS = (
    Kind("namespaces", "Namespace", namespaced=False, short=("ns",), subresources=(_status("Namespace"),)),
    Kind("nodes", "Node", namespaced=False, short=("no",), subresources=(_status("Node"),)),
    Kind("pods", "Pod", short=("po",), categories=("all",), subresources=(
        ("log", "Pod", ("get",)), ("eviction", "Eviction", ("create",)), _status("Pod"))),
    Kind("events", "Event", short=("ev",)),
    Kind("secrets", "Secret"),
    Kind("configmaps", "ConfigMap", short=("cm",)),
    Kind("serviceaccounts", "ServiceAccount", short=("sa",), subresources=(("token", "TokenRequest", ("create",)),)),
    Kind("services", "Service", short=("svc",), categories=("all",), subresources=(_status("Service"),)),
    Kind("persistentvolumeclaims", "PersistentVolumeClaim", short=("pvc",),
         subresources=(_status("PersistentVolumeClaim"),)),
    Kind("resourcequotas", "ResourceQuota", short=("quota",), subresources=(_status("ResourceQuota"),)),
    Kind("jobs", "Job", BATCH, categories=("all",), subresources=(_status("Job"),)),
    Kind("cronjobs", "CronJob", BATCH, short=("cj",), categories=("all",), subresources=(_status("CronJob"),)),
    Kind("roles", "Role", RBAC),
    Kind("rolebindings", "RoleBinding", RBAC),
    Kind("clusterroles", "ClusterRole", RBAC, namespaced=False),
    Kind("clusterrolebindings", "ClusterRoleBinding", RBAC, namespaced=False),
    Kind("selfsubjectaccessreviews", "SelfSubjectAccessReview", AUTH, namespaced=False, verbs=("create",)),
)  # fmt: skip
BY_PLURAL = {kind.plural: kind for kind in KINDS}
GROUPS = (CORE, BATCH, RBAC, AUTH)
NAMESPACES, NODES, PODS, EVENTS, JOBS, CRONJOBS = (
    BY_PLURAL[name] for name in ("namespaces", "nodes", "pods", "events", "jobs", "cronjobs")
)


def resource_list(group: str) -> dict[str, object]:
    """Return what discovery tells about a group."""
    found: list[dict[str, object]] = []
    for kind in KINDS:
        if kind.group != group:
            continue
        entry: dict[str, object] = {
            "name": kind.plural, "singularName": kind.kind.lower(), "namespaced": kind.namespaced, "kind": kind.kind,
            "verbs": list(kind.verbs), "storageVersionHash": "",
        }  # fmt: skip
        if kind.short:
            entry["shortNames"] = list(kind.short)
        if kind.categories:
            entry["categories"] = list(kind.categories)
        found.append(entry)
        for name, made, verbs in kind.subresources:
            found.append({
                "name": f"{kind.plural}/{name}", "singularName": "", "namespaced": kind.namespaced, "kind": made,
                "verbs": list(verbs), **_foreign(made),
            })  # fmt: skip
    version = f"{group}/v1" if group else "v1"
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": found}


def _foreign(kind: str) -> dict[str, str]:
    known = {"Eviction": "policy", "TokenRequest": "authentication.k8s.io"}
    return {"group": known[kind], "version": "v1"} if kind in known else {}


def group_entry(group: str) -> dict[str, object]:
    """Return what discovery tells about the versions of a group."""
    version = {"groupVersion": f"{group}/v1", "version": "v1"}
    return {"name": group, "versions": [version], "preferredVersion": version}
