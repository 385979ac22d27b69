"""How two versions differ: their origin, and their content file by file."""

from __future__ import annotations

import difflib
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from physlab.model.version import CodeState, Content, Version
from physlab.store import Store
from physlab.versioning import external
from physlab.versioning.code import read_patch
from physlab.versioning.contents import files_of
from physlab.versioning.differences import Difference, compare
from physlab.versioning.history import Known

MOST_FILES = 50
"""So many changed files of a folder are looked into."""


def differences(store: Store, before: Known, after: Known) -> dict[str, Any]:
    """Return how two versions differ.

    Returns:
        before, after: their names; origin: `{what: [before, after]}` of parameters, code, parents and metadata;
        code: how the changes of the code that were kept differ, line by line; files: path → how its content differs
        (`kind`, `lines`, figures), `added`, `removed`; equal: whether the
        content is the same.

    Raises:
        StoreError: Bytes are missing or damaged.
    """
    old, new = before.version, after.version
    files, added, removed = _files(store, old, new)
    return {
        "before": before.name, "after": after.name, "equal": old.content.sha256 == new.content.sha256,
        "origin": _origin(old, new), "code": _code(store, old.code, new.code),
        "files": files, "added": added, "removed": removed,
    }  # fmt: skip


def _origin(old: Version, new: Version) -> dict[str, list[Any]]:
    pairs: dict[str, tuple[Any, Any]] = {
        "code": _states(old.code, new.code),
        "parents": (_parents(old), _parents(new)),
        **_values("params", old.params, new.params),
        **_values("metadata", old.metadata, new.metadata),
    }
    return {name: [a, b] for name, (a, b) in pairs.items() if a != b}


def _states(old: CodeState, new: CodeState) -> tuple[str, str]:
    """Return what the states of the code are called; the same only where they are the same."""
    if (old.version, old.commit, old.diff) == (new.version, new.commit, new.diff):
        return old.version, new.version
    if old.version != new.version:
        return old.version, new.version
    before, after = (code.diff or code.commit or "" for code in (old, new))
    return f"{old.version} sha256:{before[:12]}…", f"{new.version} sha256:{after[:12]}…"


def _code(store: Store, old: CodeState, new: CodeState) -> list[str]:
    """Return how the changes that were kept beside the commit differ, line by line."""
    if old.diff == new.diff:
        return []
    before, after = (read_patch(store, code).splitlines() for code in (old, new))
    names = [code.version or "unknown" for code in (old, new)]
    return list(difflib.unified_diff(before, after, names[0], names[1], lineterm="", n=2))


def _parents(version: Version) -> list[str]:
    named = ((Path(parent.path).name if parent.path else "", parent.sha256) for parent in version.parents)
    return sorted(f"{name} sha256:{sha256[:12]}…".strip() for name, sha256 in named)


def _values(what: str, old: Any, new: Any) -> dict[str, tuple[Any, Any]]:
    """Return each value that stands in one of two trees: where, and what it is in both."""
    if not isinstance(old, Mapping) or not isinstance(new, Mapping):
        return {what: (old, new)}
    found: dict[str, tuple[Any, Any]] = {}
    for name in [*old, *(name for name in new if name not in old)]:
        found |= _values(f"{what}.{name}", old.get(name), new.get(name))
    return found


def _files(store: Store, old: Version, new: Version) -> tuple[dict[str, Any], list[str], list[str]]:
    if old.content.sha256 == new.content.sha256:
        return {}, [], []
    here, there = files_of(store, old.content), files_of(store, new.content)
    if ("" in here) != ("" in there):  # a file became a folder
        return {}, sorted(there), sorted(here)
    changed = [name for name in here if name in there and here[name][:2] != there[name][:2]]
    found: dict[str, Any] = {}
    with ExitStack() as stack:
        for name in sorted(changed):
            if len(found) == MOST_FILES:
                found[name] = Difference("bytes", False, ("not looked into: too many files",)).as_object()
                continue
            a, b = (_path(store, stack, v.content, files[name][0]) for v, files in ((old, here), (new, there)))
            label = name or Path(new.artifact).name
            found[label] = compare(a, b, label).as_object()
    return found, sorted(there.keys() - here.keys()), sorted(here.keys() - there.keys())


def _path(store: Store, stack: ExitStack, content: Content, digest: str) -> Path:
    """Return where bytes can be read, verified."""
    if content.kind != "external":
        return store.blobs.verified(digest)
    target = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "bytes"
    external.fetch(content, target)
    return target
