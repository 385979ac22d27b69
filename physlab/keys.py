"""The only room that hashes: canonical JSON (RFC 8785), SHA-256, and the identities made from them."""

from __future__ import annotations

import hashlib
import hmac
import math
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO

import orjson
import rfc8785

from physlab.errors import ValidationError

CHUNK = 1 << 20
_EXACT = 2**53


def canonical(value: Any) -> bytes:
    """Return the RFC 8785 bytes of a JSON value.

    orjson gives the same bytes wherever no number or key needs ECMAScript's own spelling; the rest goes through the
    reference implementation.

    Raises:
        ValidationError: The value holds something that JSON cannot (NaN, an infinite or huge number, a set …).
    """
    try:
        return orjson.dumps(_spelled(value), option=orjson.OPT_SORT_KEYS)
    except _NeedsReference:
        pass
    except (TypeError, ValueError, RecursionError) as error:
        raise _unwritable(value, error) from error
    try:
        return rfc8785.dumps(_listed(value))
    except (TypeError, ValueError, OverflowError, RecursionError) as error:  # rfc8785's errors are ValueErrors
        raise _unwritable(value, error) from error


class _NeedsReference(Exception):  # noqa: N818 - a signal, not an error
    """The value holds a number or a key that ECMAScript spells otherwise than Python."""


def _spelled(value: Any) -> Any:
    """Return the value so that `orjson` spells it as RFC 8785 does."""
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return value
    if kind is dict:
        for key in value:
            if type(key) is not str or not key.isascii():
                raise _NeedsReference
        return {key: _spelled(item) for key, item in value.items()}
    if kind is list or kind is tuple:
        return [_spelled(item) for item in value]
    if kind is int:
        if -_EXACT < value < _EXACT:
            return value
    elif kind is float:
        if value.is_integer():
            if -_EXACT < value < _EXACT:
                return int(value)
        elif 1e-4 <= abs(value) < 1e16:
            return value
    raise _NeedsReference


def _listed(value: Any) -> Any:
    """Return the value with plain containers, refusing what JSON does not have."""
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise TypeError(f"the key {key!r} is not a string")
        return {key: _listed(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_listed(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value} is not finite")
    if isinstance(value, int) and abs(value) >= _EXACT:
        return _large(value)
    return value


def _large(value: int) -> float:
    """Return a large integer as the float whose canonical spelling it is: JSON read back has lost that it was one."""
    number = float(value)
    if rfc8785.dumps(number) != str(value).encode():
        raise ValueError(f"the integer {value} is larger than 2^53 and has no exact JSON number")
    return number


def _unwritable(value: Any, error: Exception) -> ValidationError:
    place = "" if isinstance(error, RecursionError) else ".".join(_place(value))
    return ValidationError(
        f"{place or 'A value'} cannot be written as canonical JSON: {error}.",
        hint="Use numbers that are finite, strings, lists and objects; pass arrays and files by reference.",
    )


def _place(value: Any) -> tuple[str, ...]:
    """Return the keys that lead to what JSON does not have."""
    items = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list | tuple) else ()
    for key, item in items:
        try:
            _listed(item)
        except (TypeError, ValueError, OverflowError):
            return str(key), *_place(item)
    return ()


def digest(value: Any) -> str:
    """Return the SHA-256 (64 hex digits) of the canonical JSON of a value."""
    return hashlib.sha256(canonical(value)).hexdigest()


def part_key(node_key: str, start: int, stop: int) -> str:
    """Return the key of what a part of a node makes: its units from `start` to before `stop`."""
    return digest([node_key, start, stop])


def digest_bytes(data: bytes) -> str:
    """Return the SHA-256 (64 hex digits) of bytes."""
    return hashlib.sha256(data).hexdigest()


def digest_stream(stream: BinaryIO) -> tuple[str, int]:
    """Return the SHA-256 of what is left in a binary stream, and its size [bytes]."""
    state, size = hashlib.sha256(), 0
    while chunk := stream.read(CHUNK):
        state.update(chunk)
        size += len(chunk)
    return state.hexdigest(), size


def keyed_digest(key: bytes, data: bytes) -> str:
    """Return the HMAC-SHA-256 (64 hex digits) of bytes: nobody without the key can make or compare it."""
    return hmac.new(key, data, hashlib.sha256).hexdigest()


def blake2b(data: bytes, size: int) -> bytes:
    """Return the BLAKE2b digest of bytes in so many bytes (RFC 7693), for signatures that others verify."""
    return hashlib.blake2b(data, digest_size=size).digest()


def stretch(passphrase: bytes, salt: bytes, *, n: int, r: int, p: int, size: int) -> bytes:
    """Return so many bytes that cost time and memory to guess (scrypt, RFC 7914); 128·n·r bytes of memory."""
    return hashlib.scrypt(passphrase, salt=salt, n=n, r=r, p=p, dklen=size, maxmem=129 * n * r + 256 * r * p)


def same(one: str, other: str) -> bool:
    """Compare two secrets in a time that does not tell where they differ."""
    return hmac.compare_digest(one.encode(), other.encode())


def md5_stream(stream: BinaryIO) -> str:
    """Return the MD5 (32 hex digits) of what is left in a binary stream, for services that know no better."""
    state = hashlib.md5(usedforsecurity=False)
    while chunk := stream.read(CHUNK):
        state.update(chunk)
    return state.hexdigest()


def sha256_and_md5(stream: BinaryIO) -> tuple[str, str, int]:
    """Return both digests of what is left in a binary stream, read once, and its size [bytes]."""
    ours, theirs, size = hashlib.sha256(), hashlib.md5(usedforsecurity=False), 0
    while chunk := stream.read(CHUNK):
        ours.update(chunk)
        theirs.update(chunk)
        size += len(chunk)
    return ours.hexdigest(), theirs.hexdigest(), size


def digest_named(name: str, data: bytes) -> bytes:
    """Return the digest of bytes by a function that somebody else chose: `sha256`, `sha384`, `sha512`, or `sha1`.

    Raises:
        ValidationError: It is another one.
    """
    if name not in ("sha1", "sha256", "sha384", "sha512"):
        raise ValidationError(f"'{name[:40]}' is no digest that is taken.", hint="Taken: sha256, sha384, sha512.")
    return hashlib.new(name, data, usedforsecurity=name != "sha1").digest()


def hasher() -> Any:
    """Return a fresh SHA-256 state, for those who copy and hash in one pass."""
    return hashlib.sha256()


def dag_id(graph: Any) -> str:
    """Return the identity of a normalised graph: the first 16 hex digits of its digest."""
    return digest(graph)[:16]


def lineage_id(content: str, parents: Sequence[str], params: Any, code: str) -> str:
    """Return the identity of a version with its origin: 16 hex digits.

    Args:
        content: SHA-256 of its bytes.
        parents: SHA-256 of what it was made from, in any order.
        params: Parameters, as JSON.
        code: Version of the code, its changes included.
    """
    return digest({"v": 1, "content": content, "parents": sorted(parents), "params": params, "code": code})[:16]


def node_frame(
    *,
    tool: str,
    method: str | None,
    visuals: Sequence[str],
    code: str,
    device: str,
    dtype: str = "float64",
) -> str:
    """Return the part of a node's identity beside its parameters and seed, equal for many nodes.

    Args:
        tool: Tool name.
        method: Method, or None.
        visuals: Which visual outputs it writes.
        code: Fingerprint of the implementation and its libraries.
        device: Device kind that runs it.
        dtype: Number type of the computation.

    Returns:
        64 hex digits.
    """
    return digest({"v": 1, "t": tool, "m": method, "o": visuals, "c": code, "d": device, "y": dtype})


def node_base(frame: str, seed: int, params: bytes) -> str:
    """Return the part of a node's identity that does not depend on other nodes.

    Args:
        frame: What `node_frame` gave.
        seed: Seed of its random numbers.
        params: Canonical JSON of the normalised parameters after defaults; each input is the marker `{"$in": i}`.

    Returns:
        64 hex digits. Never depends on the run, the clock, a file name or the order of a mapping.
    """
    return hashlib.sha256(b"%s %d " % (frame.encode(), seed) + params).hexdigest()


def node_key(base: str, inputs: Sequence[str]) -> str:
    """Return a node's key from its base and its inputs, in the order of their markers.

    With the digests of the inputs' contents this is the content key; with the recipes of the nodes that make them
    (`recipe.path`) it is the recipe. A node without inputs is its base.
    """
    if not inputs:
        return base
    return hashlib.sha256("\n".join((base, *inputs)).encode()).hexdigest()
