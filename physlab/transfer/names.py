"""Names in records from elsewhere: some of them become names of files and folders here."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

from pydantic import TypeAdapter

from physlab.model import NodeRecord, RunRecord
from physlab.model.notebook import Entry, EntrySignature, NotebookRecord, Remark
from physlab.model.version import Version
from physlab.signing import read_public, read_signature

_NOTEBOOK: TypeAdapter[Entry | Remark | EntrySignature] = TypeAdapter(NotebookRecord)

_WORD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def check_node(record: dict[str, Any]) -> None:
    """Check the record of a computed node.

    Raises:
        ValueError: It is none, or a name in it would lead out of a folder.
    """
    made = NodeRecord.model_validate(record)
    _check_words(made.run_id, made.node_id)
    for name in (*(artifact.name for artifact in made.artifacts), *_files(made.fields)):
        parts = str(name).split("/")
        bad = not name or len(name) > 512 or "\\" in name or _CONTROL.search(name)
        if bad or any(part in ("", ".", "..") for part in parts) or re.match(r"[A-Za-z]:", name):
            raise ValueError(f"a file cannot be called {name[:80]!r}")


def check_run(record: dict[str, Any]) -> None:
    """Check the record of a run.

    Raises:
        ValueError: It is none, or a name in it would lead out of a folder.
    """
    run = RunRecord.model_validate(record)
    _check_words(run.run_id, *(node.id for node in run.nodes))


def check_version(record: dict[str, Any]) -> None:
    """Check the record of a version.

    Raises:
        ValueError: It is none.
    """
    version = Version.model_validate(record)
    if not re.fullmatch(r"[0-9a-f]{16}", version.lineage_id) or _CONTROL.search(version.artifact):
        raise ValueError("a version without its lineage or name")


def check_tag(record: dict[str, Any]) -> None:
    """Check the record of a tag.

    Raises:
        ValueError: It is none.
    """
    name, version = record["name"], record["version"]
    if not isinstance(name, str) or not _WORD.fullmatch(name) or not (version is None or _is_digest(version)):
        raise ValueError("a tag without its name or version")


def check_label(record: dict[str, Any]) -> None:
    """Check the record of a label.

    Raises:
        ValueError: It is none.
    """
    if not isinstance(record["label"], str) or not all(_is_digest(item) for item in record["digests"]):
        raise ValueError("a label without what it stands on")
    if record["until"] is not None:
        date.fromisoformat(record["until"])


def check_notebook(record: dict[str, Any]) -> None:
    """Check a record of a notebook: its shape alone; whether its signatures hold is said by who verifies the notebook.

    Raises:
        ValueError: It is none, or a name in it would lead out of a folder.
    """
    item: Entry | Remark | EntrySignature = _NOTEBOOK.validate_python(record)
    if list(item.previous) != sorted(set(item.previous)):
        raise ValueError("a record of a notebook that does not name those before it in order")
    if isinstance(item, EntrySignature):
        read_public(item.key)
        read_signature(item.minisig)
    for attached in item.attachments if isinstance(item, Entry) else ():
        if (
            "/" in attached.name
            or "\\" in attached.name
            or _CONTROL.search(attached.name)
            or attached.name in (".", "..")
        ):
            raise ValueError(f"a file cannot be called {attached.name[:80]!r}")


def _is_digest(text: Any) -> bool:
    return isinstance(text, str) and re.fullmatch(r"[0-9a-f]{64}", text) is not None


def _check_words(*words: str) -> None:
    for word in words:
        if not _WORD.fullmatch(word):
            raise ValueError(f"a run or node cannot be called {word[:80]!r}")


def _files(value: Any) -> Iterator[str]:
    """Yield the names of all files inside stored fields."""
    if isinstance(value, Mapping):
        if set(value) == {"$file"}:
            yield str(value["$file"]["name"])
            return
        for item in value.values():
            yield from _files(item)
    if isinstance(value, list | tuple):
        for item in value:
            yield from _files(item)
