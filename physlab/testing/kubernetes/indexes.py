"""Jobs whose pods have numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from physlab.testing.kubernetes.objects import Obj

ANNOTATION = "batch.kubernetes.io/job-completion-index"


def indexed(job: Obj) -> bool:
    """Return whether the pods of a job have numbers."""
    return bool(job["spec"]["completionMode"] == "Indexed")


def index_of(pod: Obj) -> int:
    """Return the number of a pod."""
    return int((pod["metadata"].get("annotations") or {}).get(ANNOTATION, -1))


def completed(job: Obj, succeeded: Iterable[Obj]) -> set[int]:
    """Return the numbers that are done: those written down, and those of pods that just succeeded."""
    found = {index_of(pod) for pod in succeeded}
    for part in filter(None, str((job.get("status") or {}).get("completedIndexes") or "").split(",")):
        first, _, last = part.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return found


def written(numbers: Iterable[int]) -> str:
    """Return numbers as a status has them: `0,2-4`."""
    parts: list[list[int]] = []
    for number in sorted(numbers):
        if parts and number == parts[-1][-1] + 1:
            parts[-1].append(number)
        else:
            parts.append([number])
    return ",".join(str(part[0]) if len(part) == 1 else f"{part[0]}-{part[-1]}" for part in parts)


def free(job: Obj, there: Iterable[Obj], succeeded: Sequence[Obj], count: int) -> list[int | None]:
    """Return the numbers for new pods, the lowest first; None for each pod of a job without numbers."""
    if not indexed(job):
        return [None] * max(0, count)
    taken = completed(job, succeeded) | {index_of(pod) for pod in there}
    left = [number for number in range(job["spec"]["completions"]) if number not in taken]
    return list(left[: max(0, count)])


def mark(body: Obj, job: str, index: int) -> None:
    """Give a pod its number: annotation, label, host name and environment."""
    metadata, spec = body["metadata"], body["spec"]
    metadata["annotations"] = {**(metadata.get("annotations") or {}), ANNOTATION: str(index)}
    metadata["labels"] = {**(metadata.get("labels") or {}), ANNOTATION: str(index)}
    spec["hostname"] = f"{job}-{index}"
    source = {"fieldRef": {"fieldPath": f"metadata.labels['{ANNOTATION}']"}}
    for container in [*(spec.get("initContainers") or []), *spec["containers"]]:
        env = container.setdefault("env", [])
        if not any(one["name"] == "JOB_COMPLETION_INDEX" for one in env):
            env.append({"name": "JOB_COMPLETION_INDEX", "valueFrom": source})
