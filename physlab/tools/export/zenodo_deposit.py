"""The deposit interface of Zenodo: a draft is made once, files are sent once, and what was published is never repeated.

A deposition carries the digest of its content in its notes. Whoever sends the same again finds the draft, sends what
is missing, or learns that it is published already. (developers.zenodo.org: Depositions, Deposition files, Actions.)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from physlab import keys
from physlab.errors import ComputationError, ResourceError
from physlab.tools.export.webclient import Service

HOME = "api/deposit/depositions"
PAGE, MOST_PAGES = 100, 20


@dataclass(frozen=True)
class Deposited:
    """A deposition as the service tells of it.

    Attributes:
        number: Its id.
        url: The page that people look at.
        doi: The DOI, once published.
        reserved_doi: The DOI that it will get.
        published: True when everybody sees it.
        sent: Names of the files that were sent by this call.
        already: True when it was published before this call.
        strangers: Names of files in it that are not ours.
    """

    number: int
    url: str | None
    doi: str | None
    reserved_doi: str | None
    published: bool
    sent: tuple[str, ...]
    already: bool
    strangers: tuple[str, ...]


def deposit(
    service: Service, metadata: Mapping[str, Any], files: Mapping[str, Path], digest: str, *, publish: bool
) -> Deposited:
    """Make sure that a deposition with this content is there.

    Args:
        service: Where to.
        metadata: Checked metadata.
        files: Name → file.
        digest: SHA-256 of metadata and files, which tells this deposition from others.
        publish: True publishes it.

    Raises:
        ResourceError: The service is busy or broken, or a file did not arrive whole.
        ConfigurationError: The token is refused.
        ValidationError: The metadata or a file are refused.
    """
    mark = f"physlab content sha256:{digest}"
    draft = _find(service, mark)
    if draft is None:
        notes = {"notes": f"Made by physlab. {mark}"}
        draft = service.ask("POST", HOME, json={"metadata": {**metadata, **notes}}, repeat=False)
    number = _number(draft)
    if _is_published(draft):
        return _tell(draft, number, (), (), already=True)
    draft = service.ask("GET", f"{HOME}/{number}")
    there = {item["filename"]: str(item.get("checksum", "")).removeprefix("md5:") for item in draft.get("files", [])}
    bucket = draft.get("links", {}).get("bucket")
    if not isinstance(bucket, str):
        raise ComputationError(f"{service.name} names no bucket for deposition {number}.", hint="Is it a Zenodo?")
    sent = tuple(name for name in sorted(files) if _send(service, bucket, name, files[name], there.get(name)))
    strangers = tuple(sorted(set(there) - set(files)))
    if publish:
        draft = _publish(service, number)
    return _tell(draft, number, sent, strangers)


def _find(service: Service, mark: str) -> dict[str, Any] | None:
    """Return our deposition with that mark: a published one before a draft."""
    draft = None
    for page in range(1, MOST_PAGES + 1):
        listed = service.ask("GET", HOME, query={"size": PAGE, "page": page, "sort": "mostrecent"})
        if not isinstance(listed, list):
            raise ComputationError(f"{service.name} does not list depositions.", hint="Check the address in [export].")
        for item in listed:
            if mark in str(item.get("metadata", {}).get("notes", "")):
                if _is_published(item):
                    return dict(item)
                draft = draft or dict(item)
        if len(listed) < PAGE:
            break
    return draft


def _send(service: Service, bucket: str, name: str, path: Path, there: str | None) -> bool:
    """Send a file unless it is there; say whether it was sent."""
    with path.open("rb") as stream:
        ours = keys.md5_stream(stream)
    if there == ours:
        return False
    for _ in range(2):
        reply = service.ask("PUT", f"{bucket}/{quote(name)}", file=path)
        arrived = str(reply.get("checksum", "")).removeprefix("md5:")
        if arrived == ours:
            return True
    raise ResourceError(
        f"'{name}' did not arrive whole at {service.name}: its MD5 is {arrived or 'not told'}, not {ours}.",
        hint="Run again; files that arrived whole are not sent again. Nothing was published.",
        details={"file": name, "expected": ours, "arrived": arrived},
    )


def _publish(service: Service, number: int) -> dict[str, Any]:
    """Publish a draft; where the answer got lost, look whether it is published."""
    try:
        return dict(service.ask("POST", f"{HOME}/{number}/actions/publish", repeat=False))
    except ResourceError:
        draft = service.ask("GET", f"{HOME}/{number}")
        if not _is_published(draft):
            raise
        return dict(draft)


def _is_published(draft: Mapping[str, Any]) -> bool:
    return bool(draft.get("submitted")) or draft.get("state") == "done"


def _number(draft: Mapping[str, Any]) -> int:
    if not isinstance(draft.get("id"), int):
        raise ComputationError("The service made a deposition without a number.", hint="Check the address in [export].")
    return int(draft["id"])


def _tell(
    draft: Mapping[str, Any], number: int, sent: tuple[str, ...], strangers: tuple[str, ...], *, already: bool = False
) -> Deposited:
    links, published = draft.get("links", {}), _is_published(draft)
    reserved = draft.get("metadata", {}).get("prereserve_doi", {})
    return Deposited(
        number=number,
        url=(links.get("record_html") if published else None) or links.get("html"),
        doi=(draft.get("doi") or None) if published else None,
        reserved_doi=reserved.get("doi") if isinstance(reserved, Mapping) else None,
        published=published,
        sent=sent,
        already=already,
        strangers=strangers,
    )
