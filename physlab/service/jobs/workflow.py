"""A workflow as it is given: which step needs which, by the files that they make; no cluster is asked."""

from __future__ import annotations

import graphlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from physlab.errors import ValidationError, nearest
from physlab.service.jobs.request import check_names, find_file, read_request
from physlab.service.jobs.submit import Asked


@dataclass(frozen=True)
class Step:
    """A step of a workflow.

    Attributes:
        name: Its name.
        asked: Its job; what it takes from other steps is not in it yet.
        takes: File → step that makes it.
        after: Steps that it needs.
    """

    name: str
    asked: Asked
    takes: Mapping[str, str]
    after: tuple[str, ...]


def read_workflow(
    given: Sequence[Mapping[str, Any]], base_dir: Path, shared: Mapping[str, Any], backend: str
) -> list[Step]:
    """Return the steps, each after those that it needs.

    A file that a step depends on is made by the step that says so (`outputs`), else lies on this machine, else is made
    by the step whose script or command speaks of it.

    Args:
        given: Steps as a payload has them: `step`, `script` or `job_spec`, `dependencies`, `outputs`, …
        base_dir: Where relative paths start.
        shared: What holds for all of them.
        backend: The kind of cluster.

    Raises:
        ValidationError: A name stands twice, a dependency is made by none, or they wait for each other.
    """
    asked: dict[str, Asked] = {}
    for item in given:
        name = item["step"]
        if name in asked:
            raise ValidationError(f"workflow: two steps are called '{name}'.", hint="Rename one of them.")
        resources = {**shared.get("resources", {}), **(item.get("resources") or {})}
        word = re.sub(r"[^A-Za-z0-9._+@-]", "-", name).lstrip("._+@-")[:100] or "step"
        plain = {**item, "resources": resources, "name": item.get("name") or word}
        asked[name] = read_request(plain, base_dir, backend, f"workflow step '{name}'")
    steps = [_step(item, asked, base_dir) for item in given]
    return _in_order(steps)


def _step(item: Mapping[str, Any], asked: Mapping[str, Asked], base_dir: Path) -> Step:
    name = item["step"]
    takes: dict[str, str] = {}
    inputs = list(asked[name].inputs)
    after = set()
    for needed in item.get("dependencies") or ():
        if needed in asked:  # the name of a step: all that it makes
            after.add(needed)
            takes |= dict.fromkeys(asked[needed].request.makes, needed)
            continue
        maker = _maker(needed, name, asked)
        if maker is None and (base_dir / needed).is_file():
            inputs.append(find_file(needed, base_dir))
        elif (maker := maker or _speaker(needed, name, asked)) is not None:
            takes[needed] = maker
        else:
            made = [file for other in asked.values() for file in other.request.makes]
            known = nearest(needed, made) if made else ""
            raise ValidationError(
                f"workflow: the step '{name}' depends on '{needed}', which no step makes and which is no file here.",
                hint=f"Say outputs: [{needed}] in the step that makes it. {known}".strip(),
            )
    check_names([path.name for path in inputs] + list(takes))
    if outside := [file for file in takes if file.startswith("/") or ".." in file.split("/")]:
        raise ValidationError(
            f"workflow: the step '{name}' depends on '{outside[0]}', which is no path inside a job's folder.",
            hint="Let the step that makes it write it into its own folder.",
        )
    return Step(name, replace(asked[name], inputs=tuple(inputs)), takes, tuple(sorted({*takes.values(), *after})))


def _maker(file: str, reader: str, asked: Mapping[str, Asked]) -> str | None:
    found = [name for name, other in asked.items() if file in other.request.makes]
    if len(found) > 1:
        raise ValidationError(
            f"workflow: the steps {' and '.join(found)} both make '{file}'.", hint="Let each write a file of its own."
        )
    if found == [reader]:
        raise ValidationError(
            f"workflow: the step '{reader}' depends on '{file}', which it makes itself.", hint="Drop it."
        )
    return found[0] if found else None


def _speaker(file: str, reader: str, asked: Mapping[str, Asked]) -> str | None:
    """Return the step whose script speaks of a file: the last before the one that reads it, else the first after."""
    names = list(asked)
    spoken = re.compile(rf"(?<![\w.-]){re.escape(file)}(?![\w-])")

    def speaks(name: str) -> bool:
        request = asked[name].request
        return spoken.search("\n".join([request.script or "", *request.command])) is not None

    at = names.index(reader)
    return next((name for name in [*reversed(names[:at]), *names[at + 1 :]] if speaks(name)), None)


def _in_order(steps: Sequence[Step]) -> list[Step]:
    known = {step.name: step for step in steps}
    try:
        order = list(graphlib.TopologicalSorter({step.name: step.after for step in steps}).static_order())
    except graphlib.CycleError as error:
        path = " → ".join(reversed(error.args[1]))
        raise ValidationError(
            f"workflow: steps wait for each other: {path}.", hint="Let one of them do without the other's file."
        ) from error
    return [known[name] for name in order]
