"""A past run again: its state put back, and executed anew elsewhere, compared artifact by artifact."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from physlab.errors import ComputationError
from physlab.lab import Lab, NamedDag
from physlab.model import NodeRecord, RunRecord, RunRequest
from physlab.run import Event
from physlab.service.graphs import Conductor, carry_out
from physlab.store import Store
from physlab.tools.execute import show
from physlab.versioning.checkout import EXPERIMENT, State, checkout
from physlab.versioning.differences import compare
from physlab.versioning.register import Wish, register

TOLERANCE = 1e-9
IDENTICAL, WITHIN, DIFFERENT, MISSING = "identical", "within tolerance", "different", "missing"
_WORST = (IDENTICAL, WITHIN, DIFFERENT, MISSING)


@dataclass(frozen=True)
class Compared:
    """One thing that a node gave, then and now.

    Attributes:
        node: The node.
        what: Its field, or the name of its file.
        verdict: identical, within tolerance, different or missing.
        where: How it differs.
    """

    node: str
    what: str
    verdict: str
    where: tuple[str, ...] = ()


@dataclass
class Reproduction:
    """A run that was executed again.

    Attributes:
        run_id: The run of then.
        compared: Everything that its nodes gave.
        missing: What of its state could not be put back.
    """

    run_id: str
    compared: list[Compared] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    @property
    def verdict(self) -> str:
        """The worst of all."""
        return max((item.verdict for item in self.compared), key=_WORST.index, default=IDENTICAL)

    def as_object(self) -> dict[str, Any]:
        """Return it as one JSON object."""
        counts = {name: sum(item.verdict == name for item in self.compared) for name in _WORST}
        return {"run_id": self.run_id, "verdict": self.verdict, "counts": counts, "missing": self.missing,
                "compared": [{**vars(item), "where": list(item.where)} for item in self.compared]}  # fmt: skip


def checkout_run(lab: Lab, name: str, folder: Path | None = None) -> State:
    """Put the state of a run into a folder; by default one in the working directory that is named after it.

    Raises:
        ValidationError: There is no such run, or something stands in the folder.
        StoreError: A byte is missing or damaged, or the folder cannot be written.
    """
    run = lab.find_run(name)
    return checkout(lab, run, graph_of(lab, run), (folder or Path.cwd() / run.run_id).absolute())


def graph_of(lab: Lab, run: RunRecord) -> NamedDag:
    """Return the graph of a run, under the title that it had then."""
    return lab.find_dag(run.dag_id).entitled(run.title)


def reproduce_run(
    lab: Lab, name: str, *, tolerance: float = TOLERANCE, site: str = "local", folder: Path | None = None,
    watch: Callable[[Event], None] = lambda event: None,
) -> Reproduction:  # fmt: skip
    """Execute a run again in an empty lab, from what is kept of it alone, and compare everything it gave.

    Args:
        lab: The lab.
        name: The run.
        tolerance: Numbers whose relative difference is at most this are within tolerance.
        site: Where its nodes are executed.
        folder: Where to work; by default a temporary folder that is removed.
        watch: Told of every change of state.

    Raises:
        ValidationError: There is no such run.
        ComputationError: It cannot be run again.
    """
    run = lab.find_run(name)
    place: AbstractContextManager[str] = tempfile.TemporaryDirectory(prefix="physlab-again-")
    with place as scratch:
        root = (folder or Path(scratch) / "state").absolute()
        state = checkout(lab, run, graph_of(lab, run), root)
        given = {"home": Path(scratch) / "home", "results": Path(scratch) / "results"}
        with Lab(lab.settings.model_copy(update=given)) as other:
            stay = tuple(str(root / name) for name in state.files if (root / name).is_symlink())
            if stay:  # what stays where it is is not copied into the empty lab either
                register(other.store, Wish(stay, external=True), root)
            named = other.find_dag(EXPERIMENT, root).entitled(run.title)
            request = RunRequest(parallelism=run.request.parallelism, site=site)
            again = carry_out(other, named, request, Conductor(watch=watch))
            return Reproduction(run.run_id, list(_compare(lab, other, run, again, tolerance)), state.missing)


def _compare(lab: Lab, other: Lab, run: RunRecord, again: RunRecord, tolerance: float) -> list[Compared]:
    now = {node.id: node for node in again.nodes}
    found: list[Compared] = []
    for node in run.nodes:
        if node.record is None:
            continue
        then = NodeRecord.model_validate(lab.store.record(node.record))
        if now[node.id].record is None:
            error = now[node.id].error or {}
            found.append(Compared(node.id, "", MISSING, (str(error.get("message", now[node.id].status)),)))
            continue
        made = NodeRecord.model_validate(other.store.record(str(now[node.id].record)))
        found += _fields(lab.store, other.store, node.id, then, made, tolerance)
        found += _files(lab.store, other.store, node.id, then, made)
    if not found:
        raise ComputationError(f"Run {run.run_id} gave nothing that could be compared.", hint="Choose another run.")
    return found


def _fields(old: Store, new: Store, node: str, then: NodeRecord, made: NodeRecord, tolerance: float) -> list[Compared]:
    found = []
    for name, digest in then.field_digests.items():
        if name not in made.field_digests:
            found.append(Compared(node, name, MISSING))
        elif made.field_digests[name] == digest:
            found.append(Compared(node, name, IDENTICAL))
        else:
            a, b = (show(record.fields[name], store.blobs) for record, store in ((then, old), (made, new)))
            gap, where = _distance(a, b, name)
            verdict = WITHIN if gap <= tolerance else DIFFERENT
            found.append(Compared(node, name, verdict, (where,) if where else ()))
    return found


def _distance(old: Any, new: Any, place: str) -> tuple[float, str]:
    """Return the largest relative difference of two values, infinite where they are not numbers, and where it is."""
    if isinstance(old, Mapping) and isinstance(new, Mapping) and old.keys() == new.keys():
        return max((_distance(old[key], new[key], f"{place}.{key}") for key in old), default=(0.0, ""))
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        pairs = enumerate(zip(old, new, strict=True))
        return max((_distance(a, b, f"{place}[{index}]") for index, (a, b) in pairs), default=(0.0, ""))
    if old == new:
        return 0.0, ""
    if _is_number(old) and _is_number(new):
        gap = abs(old - new) / max(abs(old), abs(new))
        return gap if math.isfinite(gap) else math.inf, f"{place}: {old!r} → {new!r}"
    return math.inf, f"{place}: {old!r} → {new!r}"[:200]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _files(old: Store, new: Store, node: str, then: NodeRecord, made: NodeRecord) -> list[Compared]:
    there = {item.name: item for item in made.artifacts}
    found = []
    for item in then.artifacts:
        mine = there.get(item.name)
        if mine is None:
            found.append(Compared(node, item.name, MISSING))
        elif mine.sha256 == item.sha256:
            found.append(Compared(node, item.name, IDENTICAL))
        else:
            told = compare(old.blobs.verified(item.sha256), new.blobs.verified(mine.sha256), item.name)
            same = told.kind in ("image", "table", "hdf5", "array") and told.lines and told.lines[0].startswith("only ")
            found.append(Compared(node, item.name, WITHIN if same else DIFFERENT, told.lines[:5]))
    return found
