"""A Job or CronJob from a request: built as data, never as text; nothing of the user meets a shell."""

from __future__ import annotations

import math
import re
import shlex
from dataclasses import dataclass
from typing import Any

from physlab.errors import ValidationError
from physlab.model.job import JobRequest, Mount
from physlab.settings import KubernetesSiteSettings
from physlab.sites.kubernetes.reasons import FETCH, KEEP, WORK

LABEL = "physlab.io/job"
"""The label by which a Job, its pods and the runs of a CronJob are found again."""
FOLDER = "/physlab/job"
IMAGE = "python:3.11"
SCRATCH = "/tmp"  # noqa: S108 - of the container
SCRIPT = "script"
RUN = {"app.kubernetes.io/component": "run"}
"""The label of pods that network policies let reach the store."""
STAGE = ("python", "-P", "-m", "physlab.sites.kubernetes.stage")  # -P: nothing is imported from the user's folder
BACKSTOP_S = 14 * 86_400
"""A finished Job that nobody came back for is removed by the cluster after so long [s]."""
HISTORY = {"successfulJobsHistoryLimit": 100, "failedJobsHistoryLimit": 100}  # until physlab has kept them
INLINE = {"sh": "-c", "bash": "-c", "dash": "-c", "ash": "-c", "zsh": "-c", "ksh": "-c", "python": "-c",
          "python3": "-c", "perl": "-e", "ruby": "-e", "Rscript": "-e", "node": "-e"}  # fmt: skip
INLINE_BYTES = 100_000
GPU = "nvidia.com/gpu"
"""What a GPU is called where the settings say nothing else."""

Object = dict[str, Any]


@dataclass(frozen=True)
class Stage:
    """How files come to a job and from it.

    Attributes:
        token: Under what name its list of inputs is kept.
        wanted: What to keep of its folder.
    """

    token: str
    wanted: str = "."


def manifest(
    request: JobRequest, name: str, namespace: str | None, site: KubernetesSiteSettings, stage: Stage | None
) -> Object:
    """Return the Job that runs a request; with a schedule the CronJob.

    With a stage the pod runs three containers one after another: `fetch` and the user's are init containers, `keep` is
    the main one. So the order is the kubelet's, in every version of Kubernetes and with every image: the user's needs
    neither a shell nor a program of ours, and sees no key of the store.

    Args:
        request: What to run.
        name: What it is called; the label by which it is found again, too.
        namespace: Where; None for that of the context.
        site: The cluster's settings.
        stage: How its files travel; None when they do not.
    """
    labels = {"app.kubernetes.io/managed-by": "physlab", LABEL: name}
    asked, pod = request.resources, request.pod
    many = (
        {"completionMode": "Indexed", "completions": asked.nodes, "parallelism": asked.nodes} if asked.nodes > 1 else {}
    )
    spec: Object = {
        **many,
        "backoffLimit": 0,
        "ttlSecondsAfterFinished": BACKSTOP_S if pod.ttl_s is None else pod.ttl_s,
        "template": {
            "metadata": {"labels": {**labels, **RUN}, "annotations": {"kubectl.kubernetes.io/default-container": WORK}},
            "spec": _pod(request, site, stage),
        },
    }  # fmt: skip
    head: Object = {"name": name, **({"namespace": namespace} if namespace else {}), "labels": labels}
    if request.comment:
        head["annotations"] = {"physlab.io/comment": request.comment}
    if pod.schedule is None:
        return {"apiVersion": "batch/v1", "kind": "Job", "metadata": head, "spec": spec}
    zone = {"timeZone": pod.time_zone} if pod.time_zone else {}
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": head,
        "spec": {
            "schedule": pod.schedule, **zone, "concurrencyPolicy": "Forbid", **HISTORY,
            "jobTemplate": {"metadata": {"labels": labels}, "spec": spec},
        },
    }  # fmt: skip


def refuse(request: JobRequest) -> None:
    """Say what Kubernetes cannot do of a request.

    Raises:
        ValidationError: There is something.
    """
    if bool(request.command) == bool(request.script):
        raise ValidationError("A job needs either a command or a script.", hint="Give one of the two.")
    asked = request.resources
    unfit = [name for name in ("partition", "account", "qos", "constraint", "gres") if getattr(asked, name) is not None]
    unfit += [name for name in ("after", "prologue") if getattr(request, name)]
    if unfit:
        raise ValidationError(
            f"{' and '.join(unfit)}: Kubernetes has no such thing.",
            hint="Use node_selector, tolerations, namespace and priority_class instead, or backend: slurm.",
        )
    for mount in request.mounts:
        if mount.target == "/" or mount.target.startswith("/physlab"):
            raise ValidationError(
                f"mounts: nothing can be mounted at '{mount.target}'.", hint="Mount it elsewhere, such as /data."
            )


def program(request: JobRequest, stage: Stage | None) -> list[str]:
    """Return the words that the user's container runs.

    Raises:
        ValidationError: A script that no interpreter takes as a word, and no store to bring it as a file.
    """
    if request.script is None:
        return list(request.command)
    if stage is not None:
        return [f"./{SCRIPT}"]
    first, _, _ = request.script.partition("\n")
    words = shlex.split(first[2:]) if first.startswith("#!") else ["/bin/sh"]
    if words and re.fullmatch(r"(/\S+/)?env", words[0]):
        words = [word for word in words[1:] if word != "-S"]
    flag = INLINE.get(words[0].rpartition("/")[2]) if words else None
    if flag is None or len(request.script.encode()) > INLINE_BYTES:
        raise ValidationError(
            f"A script that begins with '{first[:80]}' has to come to the pod as a file, and the cluster has no store.",
            hint="Set store under [sites.kubernetes.NAME], or write it for sh or python, below 100 kB.",
        )
    return [*words, flag, request.script]


def _pod(request: JobRequest, site: KubernetesSiteSettings, stage: Stage | None) -> Object:
    pod = request.pod
    volumes, mounts = _volumes(request.mounts)
    volumes.append({"name": "physlab-job", "emptyDir": {}})
    mounts.append({"name": "physlab-job", "mountPath": FOLDER})
    work = _work(request, site, stage, mounts)
    spec: Object = {
        "restartPolicy": "Never",
        "enableServiceLinks": False,
        "securityContext": _pod_security(pod.run_as_user),
    }
    if stage is None:
        spec["containers"] = [work]
    else:
        ours: list[Object] = [{"name": "physlab-job", "mountPath": FOLDER}]
        if site.volume_claim is not None:
            volumes.append({"name": "physlab-store", "persistentVolumeClaim": {"claimName": site.volume_claim}})
            ours.append({"name": "physlab-store", "mountPath": site.store})
        spec["initContainers"] = [_stage(FETCH, site, stage, request, ours), work]
        spec["containers"] = [_stage(KEEP, site, stage, request, ours)]
    if request.resources.walltime_s is not None:  # of the pod, not of the Job: waiting for a machine does not count
        spec["activeDeadlineSeconds"] = math.ceil(request.resources.walltime_s)
    spec["volumes"] = volumes
    spec["serviceAccountName"] = pod.service_account
    spec["automountServiceAccountToken"] = pod.service_account is not None
    spec["nodeSelector"] = {**site.node_selector, **pod.node_selector}
    spec["tolerations"] = [_toleration(each.model_dump(exclude_none=True)) for each in pod.tolerations]
    spec["imagePullSecrets"] = [{"name": each} for each in pod.image_pull_secrets]
    spec["priorityClassName"] = pod.priority_class
    if request.resources.exclude:
        spec["affinity"] = _avoiding(request.resources.exclude)
    return {key: value for key, value in spec.items() if value not in (None, {}, [])}


def _work(request: JobRequest, site: KubernetesSiteSettings, stage: Stage | None, mounts: list[Object]) -> Object:
    environment = {"HOME": SCRATCH, **request.environment}
    return {
        "name": WORK,
        "image": request.image or IMAGE,
        "command": [_literal(word) for word in program(request, stage)],
        "workingDir": FOLDER,
        "env": [{"name": key, "value": _literal(value)} for key, value in sorted(environment.items())],
        "resources": _resources(request, site),
        "securityContext": _security(request.pod.run_as_user),
        "volumeMounts": mounts,
    }


def _stage(name: str, site: KubernetesSiteSettings, stage: Stage, request: JobRequest, mounts: list[Object]) -> Object:
    words = [*STAGE, name, f"--store={site.store}"]
    if site.store_endpoint is not None:
        words.append(f"--endpoint={site.store_endpoint}")
    words = [_literal(word) for word in [*words, f"--token={stage.token}"]]
    if name == KEEP:
        words += ["--job=$(JOB_NAME)", *(["--index=$(JOB_COMPLETION_INDEX)"] if request.resources.nodes > 1 else [])]
        words += [_literal(f"--wanted={stage.wanted}"), *(_literal(f"--makes={file}") for file in request.makes)]
    own = {"name": "JOB_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['job-name']"}}}
    made: Object = {
        "name": name,
        "image": site.image,
        "command": words,
        "workingDir": FOLDER,
        "env": [own, {"name": "HOME", "value": SCRATCH}],
        "resources": {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"cpu": "1", "memory": "1Gi"}},
        "securityContext": _security(request.pod.run_as_user),
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": mounts,
    }
    if site.store_secret is not None:
        made["envFrom"] = [{"secretRef": {"name": site.store_secret}}]
    return made


def _resources(request: JobRequest, site: KubernetesSiteSettings) -> Object:
    asked = request.resources
    amounts: dict[str, str] = {"cpu": str(asked.cpus)}
    if asked.memory_mb is not None:
        amounts["memory"] = f"{asked.memory_mb}Mi"
    if asked.gpus:
        amounts[site.gpu_resource or GPU] = str(asked.gpus)
    return {"requests": amounts, "limits": dict(amounts)}


def _pod_security(user: int) -> Object:
    who: Object = {"runAsNonRoot": True, "runAsGroup": user, "fsGroup": user} if user else {}
    return {"runAsUser": user, **who, "seccompProfile": {"type": "RuntimeDefault"}}


def _security(user: int) -> Object:
    return {"allowPrivilegeEscalation": False, **({"capabilities": {"drop": ["ALL"]}} if user else {})}


def _volumes(given: tuple[Mount, ...]) -> tuple[list[Object], list[Object]]:
    volumes: list[Object] = []
    mounts: list[Object] = []
    for number, mount in enumerate(given):
        kind, _, rest = mount.source.rpartition(":")
        name, _, below = rest.partition("/")
        sources: dict[str, Object] = {
            "": {"hostPath": {"path": mount.source, "type": "Directory"}},
            "claim": {"persistentVolumeClaim": {"claimName": name, "readOnly": mount.readonly}},
            "secret": {"secret": {"secretName": name}},
            "configmap": {"configMap": {"name": name}},
        }
        volumes.append({"name": f"mount-{number}", **sources[kind]})
        seen: Object = {"name": f"mount-{number}", "mountPath": mount.target, "readOnly": mount.readonly}
        mounts.append({**seen, "subPath": below} if kind and below else seen)
    return volumes, mounts


def _toleration(given: Object) -> Object:
    renamed = {"tolerationSeconds" if key == "toleration_s" else key: value for key, value in given.items()}
    return {"operator": "Exists", **renamed} if "key" not in renamed else renamed


def _avoiding(machines: tuple[str, ...]) -> Object:
    rule = {"key": "kubernetes.io/hostname", "operator": "NotIn", "values": list(machines)}
    terms = {"nodeSelectorTerms": [{"matchExpressions": [rule]}]}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}


def _literal(text: str) -> str:
    """Return a word such that it arrives as it is: the kubelet replaces `$(NAME)`, and makes one dollar of two."""
    return text.replace("$", "$$") if "$(" in text or "$$" in text else text
