"""Where what an entry speaks of comes from: its computations, as the ledger tells of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from markupsafe import Markup, escape

from physlab.errors import StoreError
from physlab.model import NodeRecord, RunRecord
from physlab.model.notebook import Source
from physlab.report import words
from physlab.store import Store

LIMIT = 900
"""Characters of one value."""
MOST_NODES = 40
Line = tuple[str, Markup]


@dataclass(frozen=True)
class Origin:
    """A computation: what it was, and lines on it."""

    title: str
    lines: tuple[Line, ...]


def origin_of(store: Store, source: Source) -> Origin:
    """Return what the ledger says of a computation; of one that another lab did, that its record is not here."""
    title = " ".join(filter(None, [source.node_id or "the whole run", f"({source.tool})" if source.tool else ""]))
    own = [("run", escape(source.run_id)), ("record", mono(source.record))]
    try:
        told = store.record(source.record)
    except StoreError:
        return Origin(title, (*own, ("", escape("The ledger of this lab does not have this record."))))
    of = {"node": _node, "run": _run}.get(str(told.get("kind")))
    return Origin(title, (*own, *(of(told) if of is not None else ())))


def mono(text: str) -> Markup:
    """Return a digest as it is set."""
    return Markup('<span class="mono">{}</span>').format(text)


def _node(told: dict[str, object]) -> Iterator[Line]:
    record = NodeRecord.model_validate(told)
    yield "computed", escape(f"{moment(record.started_at)}, took {words.duration(record.duration_ms)}")
    yield "parameters", mono(words.cut(words.compact(record.written), LIMIT))
    for name, digest in record.inputs.items():
        yield f"input {name}", Markup("{} {}").format(record.sources.get(name, ""), mono(digest))
    yield "device, seed", escape(f"{record.device}, {record.seed}")
    versions = ", ".join(f"{name} {version}" for name, version in record.code.items() if name != "fingerprint")
    yield "code", Markup("{} {}").format(versions, mono(record.code.get("fingerprint", "")))
    for artifact in record.artifacts:
        yield artifact.role, Markup("{} {}").format(artifact.name, mono(artifact.sha256))
    for warning in record.warnings:
        yield "warning", escape(words.cut(warning, LIMIT))


def _run(told: dict[str, object]) -> Iterator[Line]:
    record = RunRecord.model_validate(told)
    yield "graph", Markup("{} {}").format(record.title, mono(record.dag_id))
    yield "outcome", escape(f"{record.status}; {moment(record.started_at)}, took {words.duration(record.duration_ms)}")
    for node in record.nodes[:MOST_NODES]:
        yield node.id, Markup("{}, {} {}").format(node.tool, node.status, mono(node.record or ""))
    if len(record.nodes) > MOST_NODES:
        yield "", escape(f"and {len(record.nodes) - MOST_NODES} steps more, which the record names")


def moment(text: str) -> str:
    """Return an ISO time as `2026-11-20 09:01:00 UTC`; a text that is none as it is."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return text
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if time.tzinfo else f"{time:%Y-%m-%d %H:%M:%S}"
