"""Records on their way between labs: as lines of their own, which name neither a number nor what came before.

    {"digest": SHA-256 of the record, "kind": …, "record": {…}}

A record keeps its digest in every journal; its place in the chain is each journal's own. So a record that is known is
known for good, whoever sent it how often.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pydantic
import sqlalchemy as sa

from physlab.errors import StoreError
from physlab.keys import canonical, digest_bytes
from physlab.model import Dag
from physlab.store import Store, schema
from physlab.store.index import stored_digests
from physlab.transfer.names import check_label, check_node, check_notebook, check_run, check_tag, check_version
from physlab.transfer.remote import RemoteStore

STAY = frozenset((
    "run_begin", "retract", "job", "received", "backup_begin", "backup", "backup_forget", "backup_check",
    "backup_policy", "drill", "dvc", "scrub", "gc", "cluster", "trusted_lab",
))  # fmt: skip
"""Kinds of records that speak of this lab's own machine, and stay there."""
PAST = "past_node"
"""A computed node whose result was forgotten where it was made: others know of it, and do not use it."""
ENTRY, SAID = "notebook_entry", ("notebook_remark", "notebook_signature")
"""A revision of an entry of a notebook, and what is said of one."""
PART_BYTES = 16 << 20
_HEX = re.compile(rb"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
_KIND = re.compile(r"[a-z_]{1,32}")


@dataclass(frozen=True)
class Travelling:
    """One record that travels.

    Attributes:
        digest: Its SHA-256.
        kind: Its kind.
        record: What it says.
        named: Everything in it that looks like a SHA-256: records, files, and keys.
        members: Of a folder that was registered, its files, which stand in its list.
    """

    digest: str
    kind: str
    record: Mapping[str, Any]
    named: frozenset[str]
    members: frozenset[str] = frozenset()

    def dump(self) -> bytes:
        """Return its line."""
        return canonical({"digest": self.digest, "kind": self.kind, "record": dict(self.record)}) + b"\n"

    def needed(self) -> set[str]:
        """Return the digests of the files without which it is not complete."""
        if self.kind == "version":
            content = self.record["content"]
            return set() if content.get("kind") == "external" else {content["sha256"], *self.members}
        if self.kind == ENTRY:
            return {item["sha256"] for item in self.record["attachments"]}
        if self.kind != "node":
            return set()
        record = self.record
        found = {item["sha256"] for item in record.get("artifacts", ())} | set(stored_digests(record["fields"]))
        return found | {record["log"]} if record.get("log") else found

    @property
    def sheet(self) -> str | None:
        """The list of a folder that was registered."""
        content = self.record["content"] if self.kind == "version" else {}
        return str(content["sha256"]) if content.get("kind") == "folder" else None

    def listing(self, sheet: bytes) -> Travelling:
        """Return the record with the files that its list names."""
        members = frozenset(found.decode() for found in _HEX.findall(sheet))
        return replace(self, members=members, named=self.named | members)


def own_records(store: Store, digests: Iterable[str] | None = None) -> Iterator[Travelling]:
    """Yield the records of a lab that travel, in their order; only some of them where digests are given."""
    store.refresh()
    wanted = None if digests is None else set(digests)
    usable = {row["digest"] for row in store.index.rows(sa.select(schema.nodes.c.digest))}
    seen: set[str] = set()
    for line in store.journal.replay():
        if line.kind in STAY or line.digest in seen or (wanted is not None and line.digest not in wanted):
            continue
        seen.add(line.digest)
        kind = PAST if line.kind == "node" and line.digest not in usable else line.kind
        one = _travelling(line.digest, kind, line.record)
        if one.sheet is not None:
            with contextlib.suppress(StoreError):  # a list that is gone or damaged is missed as a file
                one = one.listing(store.blobs.read(one.sheet))
        yield one


def _travelling(digest: str, kind: str, record: Mapping[str, Any]) -> Travelling:
    named = frozenset(found.decode() for found in _HEX.findall(canonical(dict(record))))
    return Travelling(digest, kind, record, named)


def their_records(remote: RemoteStore) -> dict[str, Travelling]:
    """Return all records of a store, by digest.

    Raises:
        StoreError: A part of them was changed, or holds what no lab would send.
    """
    found: dict[str, Travelling] = {}
    for part in read_parts(remote).values():
        for digest, record in part.items():
            found.setdefault(digest, record)
    return found


def read_parts(remote: RemoteStore) -> dict[str, dict[str, Travelling]]:
    """Return all records of a store, by digest, for each of the files that they lie in.

    Raises:
        StoreError: A part of them was changed, or holds what no lab would send.
    """
    parts: dict[str, dict[str, Travelling]] = {}
    for digits in remote.parts():
        found = parts[digits] = {}
        for number, line in enumerate(remote.read_lines(digits).splitlines(), 1):
            where = f"{remote.what(f'journal/{digits[:12]}…')} line {number}"
            record = read_line(line, where)
            found.setdefault(record.digest, record)
    return parts


def known_there(remote: RemoteStore) -> set[str]:
    """Return the digests of the records that a store has."""
    known: set[str] = set()
    for digits in remote.parts():
        known.update(re.findall(r'^\{"digest":"([0-9a-f]{64})"', remote.read_lines(digits).decode(), re.MULTILINE))
    return known


def send_records(remote: RemoteStore, records: Iterable[Travelling]) -> int:
    """Write records into a store, those that it lacks; return how many."""
    known, count = known_there(remote), 0
    part = bytearray()
    for record in records:
        if record.digest in known:
            continue
        part += record.dump()
        count += 1
        if len(part) > PART_BYTES:
            remote.write_part(bytes(part))
            part = bytearray()
    if part:
        remote.write_part(bytes(part))
    return count


def read_line(line: bytes, where: str) -> Travelling:
    """Return the record of a line from elsewhere, checked.

    Raises:
        StoreError: No lab would send it; the message begins with `where`.
    """
    try:
        said = json.loads(line)
        digest, kind, record = said["digest"], said["kind"], said["record"]
        if set(said) != {"digest", "kind", "record"} or not isinstance(record, dict):
            raise ValueError("not a record")
        if not isinstance(kind, str) or not _KIND.fullmatch(kind) or kind in STAY:
            raise ValueError(f"records of the kind {kind!r} do not travel")
        if digest_bytes(canonical(record)) != digest:
            raise ValueError("the record was changed")
        if kind in _VALID:
            _VALID[kind](record)
        if (kind == ENTRY or kind in SAID) and record["kind"] != kind:
            raise ValueError(f"the record of a {record['kind']} is sent as a {kind}")
    except (ValueError, KeyError, TypeError, RecursionError) as error:  # pydantic's errors are ValueErrors
        said = error.errors()[0]["msg"] if isinstance(error, pydantic.ValidationError) else error
        raise StoreError(f"{where} cannot be taken: {said}.", hint="Nothing was taken. Who wrote it?") from error
    return _travelling(digest, kind, record)


def _check_dag(record: dict[str, Any]) -> None:
    Dag.model_validate(record["dag"])
    if not isinstance(record["base_dir"], str) or not re.fullmatch(r"[0-9a-f]{16}", record["dag_id"]):
        raise ValueError("a graph without its id or folder")


_VALID: dict[str, Callable[[dict[str, Any]], object]] = {
    "node": check_node,
    PAST: check_node,
    "run": check_run,
    "dag": _check_dag,
    "version": check_version,
    "tag": check_tag,
    "label": check_label,
    ENTRY: check_notebook,
    **dict.fromkeys(SAID, check_notebook),
}


def roots(records: Mapping[str, Travelling], name: str) -> set[str]:
    """Return the records that a name means.

    Args:
        records: All that there are, in their order.
        name: A run (id, its beginning, title, `latest`), a version or tag by its name, a notebook, an entry of one by
            its id, or `sha256:…`.
    """
    bare = name.removeprefix("sha256:")
    if len(bare) == 64:
        return {one.digest for one in records.values() if bare == one.digest or bare in one.named}
    runs = [one for one in records.values() if one.kind == "run"]
    runs = sorted(runs, key=lambda one: str(one.record["started_at"]), reverse=True)
    if name == "latest":
        plain = [one for one in runs if not one.record["title"].startswith("call ")]
        return {one.digest for one in plain[:1]}
    exact = [one for one in runs if name in (one.record["run_id"], one.record["dag_id"], one.record["title"])]
    begun = [one for one in runs if len(name) >= 4 and one.record["run_id"].startswith(name)]
    alike = [one for one in runs if _slug(one.record["title"]) == _slug(name)] if _slug(name) else []
    for found in (exact, begun, alike):
        if found:
            return {found[0].digest}
    return {one.digest for one in records.values() if _is_called(one, name)} or _noted(records, name)


def _noted(records: Mapping[str, Travelling], name: str) -> set[str]:
    """Return what belongs to a notebook, or to one entry, with what is said of it."""
    entries = {one.digest for one in records.values() if one.kind == ENTRY and one.record["entry_id"] == name}
    said = [one for one in records.values() if one.kind in SAID and one.record["entry"] in entries]
    notebook = [one for one in records.values() if one.kind in (ENTRY, *SAID) and one.record["notebook"] == name]
    return entries | {one.digest for one in (*said, *notebook)}


def _is_called(one: Travelling, name: str) -> bool:
    """Say whether a version or tag has a name: a tag, a lineage id, a file or the end of its path."""
    if one.kind == "tag":
        return bool(one.record["name"] == name)
    if one.kind != "version":
        return False
    artifact = one.record["artifact"]
    return name in (artifact, one.record["lineage_id"]) or artifact.endswith(f"/{name}")


def _slug(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


def closure(records: Mapping[str, Travelling], begun: Iterable[str]) -> dict[str, Travelling]:
    """Return records and everything that they name: their graphs, nodes, and what those came from; in their order."""
    graphs: dict[str, str] = {}
    for one in records.values():
        if one.kind == "dag":
            graphs[one.record["dag_id"]] = one.digest
    wanted, todo = set[str](), list(begun)
    while todo:
        digest = todo.pop()
        if digest in wanted or digest not in records:
            continue
        wanted.add(digest)
        one = records[digest]
        todo += [name for name in one.named if name in records]
        if one.kind == "run" and one.record["dag_id"] in graphs:
            todo.append(graphs[one.record["dag_id"]])
    return {digest: one for digest, one in records.items() if digest in wanted}
