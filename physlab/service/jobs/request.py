"""What a payload asks for, as jobs: its spellings, its files, its resources in the words of the contract."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pydantic

from physlab.errors import ValidationError
from physlab.model.job import JobRequest, JobResources, PodWishes
from physlab.service.jobs.cluster import BACKENDS
from physlab.service.jobs.submit import Asked
from physlab.sites.slurm.script import OWN_FILES
from physlab.sites.slurm.states import seconds

SPELLINGS = {"cpu": "cpus", "cpus_per_node": "cpus", "gpu": "gpus", "time": "walltime_s", "time_limit": "walltime_s",
             "memory": "memory_mb"}  # fmt: skip
FORMS = {
    "image": "Write it as registry.example/name:tag.", "name": "Use letters, digits, '.', '_' and '-'.",
    "namespace": "Use small letters, digits, '.' and '-'.", "time_zone": "Write it as Europe/Berlin.",
    "schedule": "Write the five fields of cron, such as '0 3 * * *', or @daily.",
    "source": "Write an absolute folder, claim:NAME, claim:NAME/folder, secret:NAME or configmap:NAME.",
    "target": "Write an absolute folder, such as /data, without ':' and ','.",
}  # fmt: skip
"""What is accepted where a pattern decides."""
POD = tuple(PodWishes.model_fields)


def read_request(given: Mapping[str, Any], base_dir: Path, backend: str, what: str = "job_submit") -> Asked:
    """Return the job that a payload asks for.

    Args:
        given: `job_spec`, or `script` with `resources`; `artifacts`, `artifacts_path`, `name`, `after`.
        base_dir: Where relative paths start.
        backend: The kind of cluster.
        what: What to call it in an error.

    Raises:
        ValidationError: Something is unknown, missing, or not of its kind.
    """
    spec = given.get("job_spec") or {}
    inputs = tuple(find_file(item, base_dir) for item in given.get("artifacts") or ())
    check_names([path.name for path in inputs])
    asked = {**(given.get("resources") or {}), **(spec.get("resources") or {})}
    try:
        request = JobRequest(
            name=given.get("name") or "physlab",
            command=tuple(spec.get("command") or ()),
            script=read_script(given.get("script"), base_dir),
            resources=read_resources(asked),
            environment={**(given.get("env") or {}), **(spec.get("env") or {})},
            image=spec.get("image") or given.get("image"),
            mounts=spec.get("mounts") or given.get("mounts") or (),
            after=tuple(map(str, given.get("after") or ())),
            makes=tuple(given.get("outputs") or ()),
            pod=read_pod(spec, given, backend),
        )
    except pydantic.ValidationError as error:
        item = error.errors()[0]
        name, said = ".".join(map(str, item["loc"])), item["msg"].removeprefix("Value error, ")
        if item["type"] == "string_pattern_mismatch":
            said = "it is not of the form that this has"
        raise ValidationError(f"{what}: {name} = {item['input']!r}: {said}.", hint=_form(item["loc"])) from error
    if request.mounts and request.image is None and backend != "k8s":  # there every job has an image
        raise ValidationError(f"{what}: mounts without an image.", hint="Name the container: image.")
    BACKENDS[backend].refuse(request)  # says what is wrong before anything is made
    return Asked(request, inputs, given.get("artifacts_path", "."))


def _form(loc: Sequence[Any]) -> str:
    """Return what is accepted at a place of a job's description."""
    return next((FORMS[part] for part in reversed(loc) if part in FORMS), "Correct it.")


def read_pod(spec: Mapping[str, Any], given: Mapping[str, Any], backend: str) -> PodWishes:
    """Return what only pods know of a job.

    Raises:
        ValidationError: There is something, and the job is for another kind of cluster.
    """
    found = {name: spec[name] for name in POD if spec.get(name) is not None}
    if given.get("keep"):
        found["keep"] = True
    if found and backend != "k8s":
        raise ValidationError(
            f"{next(iter(found))}: only Kubernetes has that.", hint="Say backend: k8s, or leave it out."
        )
    return PodWishes.model_validate(found)


def read_script(script: str | None, base_dir: Path) -> str | None:
    """Return a script that is given as its text, or as the name of its file.

    Raises:
        ValidationError: There is no such file, or it is no text.
    """
    if script is None or "\n" in script or script.startswith("#!"):
        return script
    path = find_file(script, base_dir, "script")
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValidationError(f"The script '{script}' is no text.", hint="Lay it there as an input.") from error
    if not text.startswith("#!") and path.suffix == ".py":
        return f"#!/usr/bin/env python3\n{text}"
    return text


def check_names(names: list[str]) -> None:
    """Refuse two files of one name in a job's folder.

    Raises:
        ValidationError: There are.
    """
    for name in names:
        if name in OWN_FILES or names.count(name) > 1:
            raise ValidationError(f"Two files of the job would be called '{name}'.", hint="Rename the input.")


def find_file(name: str, base_dir: Path, what: str = "input") -> Path:
    """Return a file of this machine.

    Raises:
        ValidationError: There is none.
    """
    path = base_dir / name
    if path.is_dir():
        raise ValidationError(f"The {what} '{name}' is a folder.", hint="Name its files, or pack it: tar -cf x.tar x.")
    if not path.is_file():
        raise ValidationError(f"The {what} '{name}' does not exist.", hint=f"It was looked for at {path}.")
    return path


def read_resources(asked: Mapping[str, Any]) -> JobResources:
    """Return resources in the words of the contract: cpu, memory `32GB`, gpu, nodes, time_limit `2:00:00`.

    Raises:
        ValidationError: A name or a value is unknown, or two names mean the same.
    """
    found: dict[str, Any] = {}
    for name, value in asked.items():
        key = SPELLINGS.get(name, name)
        if key not in JobResources.model_fields:
            raise ValidationError(
                f"resources knows no '{name}'.", hint=f"Known: {', '.join([*SPELLINGS, *JobResources.model_fields])}."
            )
        if key == "walltime_s" and isinstance(value, str):
            value = seconds(value)
            if value is None:
                raise ValidationError(f"{name} = {asked[name]!r} is no time.", hint="Write 2:00:00 or 1-12:00:00.")
        if key == "memory_mb" and isinstance(value, str):
            value = _megabytes(value)
        if key == "exclude" and isinstance(value, str):
            value = [part.strip() for part in value.split(",")]
        if key in found:
            raise ValidationError(f"resources says {key} twice, the second time as '{name}'.", hint="Leave one out.")
        found[key] = value
    return JobResources(**found)


def _megabytes(text: str) -> int:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT])?(i?)B?", text.strip(), re.IGNORECASE)
    if match is None:
        raise ValidationError(f"memory = {text!r} is no size.", hint="Write 32GB or 4Gi.")
    base = 1024.0 if match[3] else 1000.0
    size = float(match[1]) * base ** " KMGT".index((match[2] or " ").upper())
    if size < 2**20:
        raise ValidationError(f"memory = {text!r} is less than a megabyte.", hint="Write 32GB or 4Gi.")
    return round(size / 2**20)  # Slurm's M is 2^20 bytes
