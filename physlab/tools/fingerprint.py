"""Which code a method runs: a fingerprint of its function and of everything that it reaches in its own package.

The sources are read, not the running objects: from a function, every name it uses is followed to its definition in the
same top-level package (functions, classes with their bases, constants, through imports at the top or in a body and
through `module.name`), until nothing new is found. Comments, formatting, docstrings, field descriptions and the
annotations of functions do not count. Libraries enter by version. What cannot be followed statically takes in its
whole module, so that a fingerprint errs towards computing again.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import metadata
from typing import Any

from physlab import keys
from physlab.errors import ConfigurationError
from physlab.tools.registry import Method
from physlab.tools.source import Chain, Place, load


def code_identity(method: Method) -> dict[str, str]:
    """Return what identifies the code of a method: `fingerprint`, the version of physlab and of its libraries."""
    versions = {name: version(name) for name in sorted(method.libraries)}
    own = keys.digest([fingerprint(method.function), fingerprint(method.params)])
    return {"fingerprint": own, "physlab": version("physlab"), **versions}


def code_digest(method: Method) -> str:
    """Return the digest of a method's code for its key.

    The version of physlab is left out: a release that does not touch the method leaves its results valid.
    """
    identity = code_identity(method)
    if "physlab" not in method.libraries:
        del identity["physlab"]
    return keys.digest(identity)


@cache
def version(distribution: str) -> str:
    """Return the version of an installed distribution, or `not installed`."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "not installed"


@cache
def fingerprint(function: Callable[..., Any]) -> str:
    """Return the fingerprint (64 hex digits) of a function or class.

    Raises:
        ConfigurationError: Its source cannot be found.
    """
    return _digest_of(_start(function))


def _start(thing: Any) -> Place:
    name, module = getattr(thing, "__qualname__", None), getattr(thing, "__module__", None)
    found = load(module, module.partition(".")[0]) if name and module else None
    if found is None or name is None:
        raise ConfigurationError(
            f"The source of {thing!r} cannot be found, so changes of its code would go unnoticed.",
            hint="Define the function at the top of a module that lies in a file.",
        )
    head = name.partition(".")[0]
    return Place(found.name, (head,) if head in found.statements and "<locals>" not in name else ())


def _digest_of(start: Place) -> str:
    top = start.module.partition(".")[0]
    found: dict[Chain, str] = {}
    seen, waiting = {start}, [start]
    while waiting:
        place = waiting.pop()
        module = load(place.module, top)
        if module is None:
            continue
        if place.chain and place.chain[0] in module.statements:
            found[place.module, place.chain[0]] = module.definition(place.chain[0]).digest
        new = set(module.follow(place)) - seen
        seen |= new
        waiting.extend(new)
    return keys.digest(sorted([*name, digest] for name, digest in found.items()))
