"""Talking to a service that takes what leaves the lab: patient, plain about refusals, silent on tokens."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from physlab.errors import ComputationError, ConfigurationError, PhyslabError, ResourceError, ValidationError

if TYPE_CHECKING:
    import httpx

ATTEMPTS = 4
FIRST_PAUSE_S = 2.0
BUSY = frozenset({429, 500, 502, 503, 504})
pause = time.sleep


class Service:
    """One service with its address and token, to be used in a `with` block.

    Args:
        name: What people call it.
        url: Where its interface begins; the token goes to this host and no other.
        token: Access token, sent in the header `Authorization` only.
        setting: The setting that holds the token, for messages.
        headers: Further headers.
        limit_s: Time for all requests together [s].
    """

    def __init__(
        self,
        name: str,
        url: str,
        token: str,
        *,
        setting: str,
        headers: Mapping[str, str] | None = None,
        limit_s: float = 3600.0,
    ) -> None:
        import httpx

        self.name, self.url, self.setting = name, url.rstrip("/"), setting
        self._token, self._end = token, time.monotonic() + limit_s
        self._client = httpx.Client(
            headers={"Authorization": f"Bearer {token}", "User-Agent": "physlab", **(headers or {})},
            timeout=httpx.Timeout(60.0, connect=20.0),
            follow_redirects=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def ask(
        self,
        verb: str,
        place: str,
        *,
        json: Any = None,
        file: Path | None = None,
        query: Mapping[str, str | int] | None = None,
        repeat: bool = True,
        absent: bool = False,
    ) -> Any:
        """Make one request and return the JSON of its reply.

        Args:
            verb: GET, POST or PUT.
            place: Path below the service's address, or a whole address on its host.
            json: What is sent.
            file: The file that is sent instead.
            query: Query of the address.
            repeat: True when it does no harm to send it twice, so that a broken connection is tried again.
            absent: True returns None for 404 instead of failing.

        Raises:
            ConfigurationError: The token is refused (401) or may not do this (403).
            ValidationError: The service refuses the content (400, 409, 413, 415, 422).
            ResourceError: It is busy, broken or cannot be reached, also after several attempts.
        """
        import httpx

        url, problem = self._own(place), ""
        for attempt in range(ATTEMPTS):
            wait = FIRST_PAUSE_S * 2**attempt
            try:
                with _opened(file) as stream:
                    reply = self._client.request(
                        verb, url, json=json, content=stream, params=query, headers=_length(file)
                    )
            except httpx.HTTPError as error:
                problem = f"cannot be reached: {type(error).__name__}: {error}"
                if not repeat and not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
                    raise self._busy(verb, url, problem) from error
            else:
                if reply.status_code == 404 and absent:
                    return None
                limited = reply.status_code == 403 and reply.headers.get("x-ratelimit-remaining") == "0"
                if reply.status_code not in BUSY and not limited:
                    return self._read(verb, url, reply)
                problem = f"answers {reply.status_code} ({_said(reply)})"
                if not repeat and reply.status_code != 429:
                    raise self._busy(verb, url, problem)
                wait = max(wait, _asked_pause(reply))
            if attempt == ATTEMPTS - 1 or time.monotonic() + wait > self._end:
                break
            pause(wait)
        raise self._busy(verb, url, problem, wait)

    def _own(self, place: str) -> str:
        """Return a whole address; one on another host is refused, since it would get the token."""
        if "://" not in place:
            return f"{self.url}/{place.lstrip('/')}"
        own, other = urlsplit(self.url), urlsplit(place)
        if (own.scheme, own.netloc) != (other.scheme, other.netloc):
            raise ComputationError(
                f"{self.name} at {self.url} answered with an address on another host, {other.netloc}.",
                hint="The token is not sent there. Check the address in [export] of physlab.toml.",
            )
        return place

    def _read(self, verb: str, url: str, reply: httpx.Response) -> Any:
        if reply.is_success:
            try:
                return reply.json() if reply.content else {}
            except ValueError as error:
                raise ResourceError(
                    f"{self.name} did not answer with JSON: {verb} {url}.", hint="Try again."
                ) from error
        said, code = _said(reply), reply.status_code
        what = f"{self.name} refuses {verb} {url} with {code}: {said}."
        details = {"status": code, "service": self.name}
        kind: type[PhyslabError] = ValidationError
        hint = "Correct what it names."
        if code == 401:
            kind, hint = ConfigurationError, f"The token is wrong or has expired: set {self.setting} anew."
        elif code == 403:
            kind, hint = ConfigurationError, f"The token may not do this: give {self.setting} the right for it."
        elif code == 413:
            hint = "It is larger than the service takes: send less, or ask for a larger quota."
        elif reply.is_redirect or code == 404:
            kind, hint = ConfigurationError, "Check the address in [export] of physlab.toml, and the owner."
        raise kind(self.hidden(what), hint=hint, details=details)

    def _busy(self, verb: str, url: str, problem: str, wait: float = 0.0) -> ResourceError:
        later = f" It asks to come back in {wait:.0f} s." if wait > 60 else ""
        return ResourceError(
            self.hidden(f"{self.name} {problem}: {verb} {url}.{later}"),
            hint="Run again later; what is there already is found and not sent twice.",
            details={"service": self.name},
        )

    def hidden(self, text: str) -> str:
        """Return a text without the token, should a service repeat it."""
        return text.replace(self._token, "***")


@contextlib.contextmanager
def _opened(file: Path | None) -> Iterator[Any]:
    if file is None:
        yield None
        return
    with file.open("rb") as stream:
        yield stream


def _length(file: Path | None) -> dict[str, str]:
    if file is None:
        return {}
    return {"Content-Length": str(file.stat().st_size), "Content-Type": "application/octet-stream"}


def _asked_pause(reply: httpx.Response) -> float:
    """Return how long the service asks to wait [s]."""
    said = reply.headers.get("retry-after", "")
    if said.isdigit():
        return float(said)
    with contextlib.suppress(ValueError):
        return max(0.0, (parsedate_to_datetime(said) - datetime.now(UTC)).total_seconds()) if said else 0.0
    reset = reply.headers.get("x-ratelimit-reset", "")
    return max(0.0, float(reset) - time.time()) if reset.isdigit() and float(reset) > 1e9 else 0.0


def _said(reply: httpx.Response) -> str:
    """Return what a refusal says, in one line."""
    try:
        body = reply.json()
    except ValueError:
        return " ".join(reply.text.split())[:200] or reply.reason_phrase
    if not isinstance(body, Mapping):
        return str(body)[:200]
    parts = [str(body.get("message") or reply.reason_phrase)]
    for item in body.get("errors") or ():
        if isinstance(item, Mapping):
            said = item.get("message") or item.get("messages") or item.get("code") or item
            parts.append(": ".join(map(str, filter(None, [item.get("field"), said]))))
        else:
            parts.append(str(item))
    return "; ".join(parts)[:400].rstrip(".")
