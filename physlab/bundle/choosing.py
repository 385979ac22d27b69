"""What belongs into a bundle: runs with everything that they name, and what the notebook says of them; nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from physlab.errors import StoreError, ValidationError
from physlab.store import Store
from physlab.transfer.push import without_named
from physlab.transfer.records import Travelling, closure, own_records
from physlab.transfer.sending import MayLeave, held_back

ENTRY, SAID = "notebook_entry", ("notebook_remark", "notebook_signature")


@dataclass(frozen=True)
class Wanted:
    """What is asked for.

    Attributes:
        dag_id: The graph.
        session: Whose runs, versions and notebook.
        run_id: One run of it; None: all.
        notebook: Whether what the notebook says comes along.
    """

    dag_id: str
    session: str
    run_id: str | None = None
    notebook: bool = True


@dataclass(frozen=True)
class Chosen:
    """What goes in.

    Attributes:
        wanted: What was asked for.
        graph: The record of the graph.
        runs: Records of the runs, the oldest first.
        records: All records for the ledger, in their order.
        notebook: Records of the notebook, in their order; they go beside the ledger.
        files: Digests of the files.
        held: Files that may not leave, with the reason.
        runs_out: Runs that stay because of such files.
        missing: Files that the lab itself lacks.
    """

    wanted: Wanted
    graph: Travelling
    runs: tuple[Travelling, ...]
    records: Mapping[str, Travelling]
    notebook: Mapping[str, Travelling] = field(default_factory=dict)
    files: frozenset[str] = frozenset()
    held: Mapping[str, str] = field(default_factory=dict)
    runs_out: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


def choose(store: Store, wanted: Wanted, may_leave: MayLeave | None) -> Chosen:
    """Choose what goes into a bundle.

    A notebook's records stay out of the ledger of whoever opens it: an extract is no chain, and would break theirs.

    Args:
        store: The lab's.
        wanted: What is asked for.
        may_leave: Says why a file may not leave.

    Raises:
        ValidationError: There is no such graph or run in the session.
        StoreError: Nothing of it may leave.
    """
    everything = {one.digest: one for one in own_records(store)}
    pool = {name: one for name, one in everything.items() if _may_come(one, wanted.session)}
    graphs = [one for one in pool.values() if one.kind == "dag" and one.record["dag_id"] == wanted.dag_id]
    if not graphs:
        raise ValidationError(f"There is no graph '{wanted.dag_id}'.", hint="See: physlab runs")
    runs = _runs(pool, wanted)
    all_of_it = _with_versions(pool, [graphs[-1].digest, *(one.digest for one in runs)], wanted.session)
    held = held_back(_files(store, all_of_it), may_leave)
    free = without_named(all_of_it, set(held))
    kept = tuple(one for one in runs if one.digest in free)
    if not kept or graphs[-1].digest not in free:
        raise _nothing_left(held)
    # Once more: what only those runs needed that stay here stays here.
    records = _with_versions(free, [graphs[-1].digest, *(one.digest for one in kept)], wanted.session)
    told = _notebook(everything, kept, wanted) if wanted.notebook else {}
    attached = held_back(_files(store, told), may_leave)
    told = _without_attached(told, set(attached))
    held = {**held, **attached}
    needed = set[str]().union(*(one.needed() for one in records.values()))
    files = _files(store, records) | _files(store, told)
    return Chosen(
        wanted, graphs[-1], kept, records, told, frozenset(files), held,
        tuple(one.record["run_id"] for one in runs if one not in kept), tuple(sorted(needed - files)),
    )  # fmt: skip


def _may_come(one: Travelling, session: str) -> bool:
    if one.kind == "version":
        return bool(one.record.get("session", "lab") == session)
    return one.kind != "label" and not one.kind.startswith("notebook_")


def _runs(pool: Mapping[str, Travelling], wanted: Wanted) -> list[Travelling]:
    of_graph = [one for one in pool.values() if one.kind == "run" and one.record["dag_id"] == wanted.dag_id]
    runs = [one for one in of_graph if one.record["meta"].get("session", "lab") == wanted.session]
    found = [one for one in runs if wanted.run_id in (None, one.record["run_id"])]
    if not found:
        others = sorted({one.record["meta"].get("session", "lab") for one in of_graph} - {wanted.session})
        what = f"run '{wanted.run_id}'" if wanted.run_id else "finished run"
        raise ValidationError(
            f"The graph {wanted.dag_id} has no {what} in the session '{wanted.session}'.",
            hint=f"It has runs in: {', '.join(others)}; name that session: --session {others[0]}" if others
            else f"Run it first: physlab run {wanted.dag_id}",
        )  # fmt: skip
    return sorted(found, key=lambda one: (str(one.record["started_at"]), one.digest))


def _with_versions(pool: Mapping[str, Travelling], begun: Iterable[str], session: str) -> dict[str, Travelling]:
    """Return records with what they name, the versions of the same files, and their tags."""
    roots = list(begun)
    records = closure(pool, roots)
    versions = [one for one in pool.values() if one.kind == "version"]
    while True:  # a version names its parents by their content
        files = _contents(records)
        roots += [
            one.digest for one in versions
            if one.digest not in records
            and (one.record["content"]["sha256"] in files or one.record.get("made_by") in records)
        ]  # fmt: skip
        more = closure(pool, roots)
        if len(more) == len(records):
            break
        records = more
    tags = [one.digest for one in pool.values() if one.kind == "tag" and one.record["version"] in records]
    return closure(pool, [*roots, *tags])


def _contents(records: Mapping[str, Travelling]) -> set[str]:
    """Return what may be the content of a version: what nodes name, and the parents of versions."""
    found: set[str] = set()
    for one in records.values():
        if one.kind in ("node", "past_node"):
            found |= one.named
        elif one.kind == "version":
            found.update(parent["sha256"] for parent in one.record.get("parents", ()))
    return found


def _notebook(
    everything: Mapping[str, Travelling], runs: Iterable[Travelling], wanted: Wanted
) -> dict[str, Travelling]:
    names = {one.record["run_id"] for one in runs}
    found: dict[str, Travelling] = {}
    for digest, one in everything.items():
        record = one.record
        if one.kind == ENTRY and record["notebook"] == wanted.session:
            if names & {source["run_id"] for source in record["sources"]}:
                found[digest] = one
        elif one.kind in SAID and record["entry"] in found:
            found[digest] = one
    return found


def _without_attached(told: Mapping[str, Travelling], held: set[str]) -> dict[str, Travelling]:
    """Leave out entries with a file that may not leave, and what was said of them."""
    out = {digest for digest, one in told.items() if one.kind == ENTRY and held & set(_named(one))}
    return {digest: one for digest, one in told.items() if digest not in out and one.record.get("entry") not in out}


def _files(store: Store, records: Mapping[str, Travelling]) -> set[str]:
    """Return the digests of the files that records name and the lab has."""
    named = set[str]().union(*(_named(one) for one in records.values()))
    return named - store.blobs.lacking(named)


def _named(one: Travelling) -> Iterable[str]:
    """Return what may be a file: of the notebook's records their attachments alone, as the rest names its chain."""
    if one.kind == ENTRY:
        return {item["sha256"] for item in one.record["attachments"]}
    return () if one.kind in SAID else one.named


def _nothing_left(held: Mapping[str, str]) -> StoreError:
    shown = "; ".join(f"{digest[:12]}…: {why}" for digest, why in sorted(held.items())[:5])
    return StoreError(
        f"Nothing of it may leave this lab: {shown}.",
        hint="Name another run, or end the labels: physlab version label FILE open", details={"held": dict(held)},
    )  # fmt: skip
