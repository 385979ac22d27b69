"""What one does with a link of another lab from here: fetch the bundle that it shows, or join its session."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import httpx

from physlab.collab.links import PREFIX
from physlab.durable import force_file, force_folder
from physlab.errors import ResourceError, ValidationError
from physlab.keys import hasher
from physlab.outgoing import client, read_reply

LIMIT_S = 60.0
MOST = 1 << 20
"""What a lab says has so many bytes at most; the bundle has as many as were announced."""
AGAIN = "Ask whoever sent the link for a new one."
Told = Callable[[int, int], None]


def fetch_link(address: str, target: Path, told: Told = lambda done, whole: None) -> dict[str, Any]:
    """Fetch the bundle that a link shows into a new file, complete and as it was announced, or not at all.

    Args:
        address: As it was sent: `https://lab.example.org/#/join/pll_…`.
        target: The file.
        told: Hears how many bytes of how many came.

    Raises:
        ValidationError: It is no such address, the link opens nothing or no bundle, or the file is there already.
        ResourceError: The lab cannot be reached, or sent something else.
    """
    base, token = _parts(address)
    if target.exists():
        raise ValidationError(f"'{target}' is there already.", hint="Name a new file: --output FILE")
    with _asked(base), client(base, limit_s=LIMIT_S, headers={"origin": base}) as http:
        with http.stream("POST", f"{base}/api/v1/links/open", json={"token": token}) as answer:
            body = read_reply(answer, MOST, LIMIT_S)
        if answer.status_code != 200:
            raise ValidationError(_said(answer.status_code, body), hint=AGAIN)
        opened = json.loads(body)
        only = opened.get("only") or {}
        if "sha256" not in only:
            raise ValidationError(
                f"The link opens the session {opened.get('session_id')}, not a bundle.", hint=f"Look at it: {base}"
            )
        place = f"{base}/api/v1/sessions/{quote(opened['session_id'], safe='')}/artifacts/{only['sha256']}"
        _take(http, place, target, str(only["sha256"]), int(only["size"]), told)
    return {"path": str(target), "sha256": only["sha256"], "size": only["size"], "title": only.get("title", ""),
            "runs": only.get("runs", [])}  # fmt: skip


def join_link(address: str, proof: str) -> dict[str, Any]:
    """Become a member of a session of another lab, as far and as long as a link of it lives.

    Args:
        address: As it was sent: `https://lab.example.org/#/join/pll_…`.
        proof: A token of one's account there that may change something.

    Returns:
        session_id, role; lab: the address of that lab.

    Raises:
        ValidationError: It is no such address, or the lab refuses.
        ResourceError: The lab cannot be reached, or sent something else.
    """
    base, token = _parts(address)
    if not proof.isascii() or not proof.isprintable() or not proof.startswith("plt_"):
        raise ValidationError(
            "This is no token of an account.", hint="It begins with plt_; whoever keeps that lab makes one for you."
        )
    with _asked(base):
        headers = {"origin": base, "authorization": f"Bearer {proof}"}
        with (
            client(base, limit_s=LIMIT_S, headers=headers) as http,
            http.stream("POST", f"{base}/api/v1/links/join", json={"token": token}) as answer,
        ):
            body = read_reply(answer, MOST, LIMIT_S)
        if answer.status_code != 200:
            raise ValidationError(_said(answer.status_code, body), hint=AGAIN)
        told = json.loads(body)
        return {"session_id": str(told["session_id"]), "role": str(told["role"]), "lab": base}


def _parts(address: str) -> tuple[str, str]:
    """Return the lab and the token that an address names."""
    parts = urlsplit(address)
    token = parts.fragment.rpartition("/")[2]
    if parts.scheme not in ("http", "https") or not parts.netloc or not token.startswith(PREFIX):
        raise ValidationError("This is not the address of a link.", hint="It ends in …/#/join/pll_…; quote it: '…'")
    return f"{parts.scheme}://{parts.netloc}", token


@contextmanager
def _asked(base: str) -> Iterator[None]:
    try:
        yield
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise ResourceError(
            f"The lab at {base} cannot be reached: {error}.", hint="Try again; ask who keeps it."
        ) from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, ValidationError):
            raise
        raise ResourceError(f"What {base} answers is not from a lab.", hint="Check the address.") from error


def _take(http: httpx.Client, place: str, target: Path, sha256: str, size: int, told: Told) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    scratch, state, done = Path(name), hasher(), 0
    try:
        with os.fdopen(handle, "wb") as stream, http.stream("GET", place) as answer:
            if answer.status_code != 200:
                raise ValidationError(_said(answer.status_code, read_reply(answer, MOST, LIMIT_S)), hint=AGAIN)
            for piece in answer.iter_bytes():
                done += len(piece)
                if done > size:
                    break
                state.update(piece)
                stream.write(piece)
                told(done, size)
        if done != size or state.hexdigest() != sha256:
            raise ResourceError("What came is not the bundle that was announced.", hint="Try again; nothing was kept.")
        force_file(scratch)
        os.replace(scratch, target)
        force_folder(target.parent)
    finally:
        scratch.unlink(missing_ok=True)


def _said(status: int, body: bytes) -> str:
    try:
        return str(json.loads(body)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return f"The lab answers {status}."
