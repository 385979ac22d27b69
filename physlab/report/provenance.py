"""The appendix: for the run and for each node the values of its record, unrounded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape

from physlab.model import NodeRecord, RunRecord
from physlab.report import words
from physlab.report.contents import Content, stored_digest

LIMIT = 2400  # characters of one value
BLOCKS = 250  # nodes that are printed
Line = tuple[str, Markup, bool]  # name, value, monospaced


@dataclass(frozen=True)
class Block:
    """One titled list of values."""

    anchor: str
    title: Markup
    lines: list[Line]


def provenance(run: RunRecord, contents: Sequence[Content]) -> Iterator[Block]:
    """Yield the block of the run, then one block for each node."""
    yield Block("run", Markup("The run <code>{}</code>").format(run.run_id), list(_run_lines(run, contents)))
    for content in contents[:BLOCKS]:
        title = Markup("{} <code>{}</code>").format(content.id, content.name)
        yield Block(f"node-{content.id}", title, list(_node_lines(content)))


def _run_lines(run: RunRecord, contents: Sequence[Content]) -> Iterator[Line]:
    yield _said("graph", run.dag_id)
    yield _said("status", run.status)
    yield _said("started", f"{run.started_at}, took {words.duration(run.duration_ms)}")
    yield _json("request", run.request.model_dump(mode="json"))
    if run.meta:
        yield _json("meta", run.meta)
    if len(contents) > BLOCKS:
        yield _said("steps", f"the first {BLOCKS} of {len(contents)} follow; run.json holds all of them")


def _node_lines(content: Content) -> Iterator[Line]:
    run, record = content.run, content.record
    yield _said("status", ": ".join(filter(None, [run.status, run.why])))
    if run.error:
        yield _json("error", run.error)
    if record is None:
        return
    origin = f"computed in run {record.run_id} as {record.node_id}" if run.cached else ""
    took = f"{record.started_at}, took {words.duration(record.duration_ms)}"
    yield _said("computed", ", ".join(filter(None, [took, f"site {run.site}" if run.site else "", origin])))
    yield _json("parameters", record.written)
    for name, digest in record.inputs.items():
        yield _digest(f"input {name}", f"{record.sources[name]} " if name in record.sources else "", digest)
    yield _said("device", _device(record))
    if record.meta.get("machine"):
        yield _said("machine", str(record.meta["machine"]))
    yield _said("seed", str(record.seed))
    known = {name: value for name, value in record.meta.items() if name not in ("device", "machine", "duration_ms")}
    if known:
        yield _json("mesh, samples …" if "mesh" in known else "meta", known)
    versions = ", ".join(f"{name} {version}" for name, version in record.code.items() if name != "fingerprint")
    yield _digest("code", f"{versions} " if versions else "", record.code.get("fingerprint", ""))
    yield _digest("key", "", record.key)
    yield _digest("record", "", run.record or "")
    for item in content.items:
        yield _digest(item.artifact.role, f"{item.path} ({words.size(item.artifact.size)}) ", item.artifact.sha256)
    for name, path in content.fields.items():
        yield _digest("field", f"{name}, {path} ", str(stored_digest(record.fields[name])))
        yield _digest("", "as an input of other steps ", record.field_digests.get(name, ""))
    for warning in record.warnings:
        yield _said("warning", warning)


def _device(record: NodeRecord) -> str:
    asked = f" (asked for {record.device_requested})" if record.device_requested != record.device else ""
    return record.device + asked + (f"; fallback: {record.fallback}" if record.fallback else "")


def _said(name: str, text: str) -> Line:
    return name, escape(words.cut(text, LIMIT)), False


def _json(name: str, value: Any) -> Line:
    text = words.compact(value)
    more = f" ({len(text)} characters; the whole stands in run.json)" if len(text) > LIMIT else ""
    return name, escape(words.cut(text, LIMIT) + more), True


def _digest(name: str, before: str, digest: str) -> Line:
    return name, Markup('{}<span class="mono">{}</span>').format(before, digest), False
