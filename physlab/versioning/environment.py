"""The software of a run: every installed package with its version, as a lock that pip reads."""

from __future__ import annotations

import contextlib
import os
import platform
import sys
from importlib.metadata import distributions

import orjson

from physlab.durable import write_new
from physlab.keys import digest
from physlab.store import Store


def environment_lock(store: Store) -> str:
    """Keep the list of installed packages in the store, and return its SHA-256.

    The list is made anew only when a folder of packages has changed.
    """
    stamp = digest([sys.version, platform.platform(), [[path, str(_changed(path))] for path in sys.path]])
    memo = store.root / "environment.json"
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        known = orjson.loads(memo.read_bytes())
        if known["stamp"] == stamp and not store.blobs.lacking([known["sha256"]]):
            return str(known["sha256"])
    sha256, _ = store.blobs.put(lock_text().encode())
    temporary = f"{memo}.{os.getpid()}"
    with contextlib.suppress(OSError):
        write_new(temporary, orjson.dumps({"stamp": stamp, "sha256": sha256}))
        os.replace(temporary, memo)
    return sha256


def _changed(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0


def lock_text() -> str:
    """Return Python, machine and packages of this process, a package a line as `name==version`."""
    found: dict[str, str] = {}
    for dist in distributions():  # the first one on the path is the one that is imported
        name = (dist.metadata["Name"] or "").lower().replace("_", "-")
        if name:
            found.setdefault(name, dist.version)
    head = [f"# Python {platform.python_version()} ({platform.python_implementation()})", f"# {platform.platform()}"]
    return "\n".join([*head, *(f"{name}=={version}" for name, version in sorted(found.items())), ""])
