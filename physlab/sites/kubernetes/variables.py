"""What a pod is asked of the work pool: the job variables of its flow run. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from physlab.settings import KubernetesSiteSettings
from physlab.sites.kubernetes.shapes import Shape

NEEDED = frozenset(("resources", "node_selector", "volumes", "volume_mounts", "env_from", "deadline_s"))
"""Variables that only the lab's own template of a pool has."""
VOLUME = "physlab-store"
GRACE_S = 60
"""A job is ended by the cluster so long after its nodes had to be over [s]."""


def job_variables(site: KubernetesSiteSettings, shape: Shape) -> dict[str, Any]:
    """Return the job variables of a pod; what the site does not say is left to the pool.

    The pod gets what it asks for and no more: requests and limits are the same. A stopped pod is not started again
    behind the lab's back: it is the lab that decides about another attempt.
    """
    amounts: dict[str, str] = {"cpu": str(shape.cpus), "memory": f"{round(shape.memory_gb * 1000)}M"}
    if shape.gpus:
        amounts[str(site.gpu_resource)] = str(shape.gpus)
    variables: dict[str, Any] = {
        "resources": {"requests": amounts, "limits": amounts},
        "env": {"PREFECT_FLOW_RUN_EXECUTE_SIGTERM_BEHAVIOR": "relinquish"},
        "finished_job_ttl": site.ttl_s,
        "deadline_s": int(site.pending_s + shape.walltime_s + GRACE_S),
    }
    if site.api_url:
        variables["env"]["PREFECT_API_URL"] = site.api_url
    named = {"image": site.image, "namespace": site.namespace, "service_account_name": site.service_account,
             "node_selector": dict(site.node_selector)}  # fmt: skip
    variables |= {name: value for name, value in named.items() if value}
    if site.store_secret:
        variables["env_from"] = [{"secretRef": {"name": site.store_secret}}]
    if site.volume_claim:
        variables["volumes"] = [{"name": VOLUME, "persistentVolumeClaim": {"claimName": site.volume_claim}}]
        variables["volume_mounts"] = [{"name": VOLUME, "mountPath": site.store}]
    return variables


def added_to(usual: Mapping[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
    """Return job variables in which lists and tables go beside the pool's usual ones instead of in their place.

    Args:
        usual: What the pool gives each pod that does not ask: `volumes` to write to, say.
        variables: What a pod is asked for.
    """
    found = dict(variables)
    for name in ("volumes", "volume_mounts", "env_from"):
        if name in found:
            found[name] = [*usual.get(name, ()), *found[name]]
    return found | {"env": {**usual.get("env", {}), **found["env"]}}
