"""What comes back from a public service: the answer as it is read, and the errors that it may be instead."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from physlab.errors import ComputationError, ResourceError, ValidationError

if TYPE_CHECKING:
    import httpx

MB = 1_000_000
EXCERPT = 300


class Service(NamedTuple):
    """Whom to ask: the name for messages, the setting that holds the address, the address, the delay [s]."""

    name: str
    setting: str
    url: str
    delay_s: float


class Answer(NamedTuple):
    """The body of an answer as a file, and those of its headers that are kept."""

    body: Path
    headers: Mapping[str, str]


def read_json(answer: Answer) -> Any:
    """Read an answer as JSON.

    Raises:
        ComputationError: It is none.
    """
    try:
        return json.loads(answer.body.read_bytes())
    except (ValueError, RecursionError) as error:
        raise malformed("JSON", answer, str(error)) from error


def read_text(answer: Answer) -> str:
    """Read an answer as text."""
    return answer.body.read_bytes().decode("utf-8", "replace")


def malformed(kind: str, answer: Answer, why: str) -> ComputationError:
    """Return the error for an answer that is not what it should be."""
    with answer.body.open("rb") as file:
        start = file.read(EXCERPT).decode("utf-8", "replace")
    return ComputationError(
        f"The answer is no {kind} as expected: {why}.",
        hint="The service may be down for maintenance or have changed its form; run again, and report it if it lasts.",
        details={"begins": start},
    )


def not_yet(service: Service, why: str) -> ResourceError:
    """Return the error that makes the client ask again in a moment."""
    return ResourceError(f"{service.name}: {why}.", hint=hint(service), details={"again": True})


def spell_age(seconds: float) -> str:
    """Return an age in words: `40 s`, `5 min`, `3.5 h`, `12.0 days`."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    if seconds < 2 * 86400:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86400:.1f} days"


def hint(service: Service) -> str:
    """Say what helps when a service cannot be reached."""
    return f"Run again later. A mirror is set with web.{service.setting}, see: physlab config show."


def offline(service: Service, url: str) -> ResourceError:
    """Return the error for a question that only the service could answer."""
    return ResourceError(
        f"{service.name} was not asked: this lab is offline (web.offline).",
        hint="This very question was not answered before; go online once, or ask what is kept.",
        details={"url": url},
    )


def for_now(service: Service, url: str, message: str, **details: Any) -> ResourceError:
    """Return the error for a failure that may go away."""
    return ResourceError(message, hint=hint(service), details={"url": url, "again": True, **details})


def too_large(service: Service, url: str, limit: float) -> ResourceError:
    """Return the error for an answer above its limit."""
    return ResourceError(
        f"{service.name} answers with more than {limit / MB:g} MB.",
        hint="Ask for less, or raise web.max_answer_mb (downloads: web.max_download_mb).",
        details={"url": url, "limit_mb": limit / MB},
    )


def excerpt(response: httpx.Response) -> str:
    """Return the beginning of an error's body."""
    read = b""
    for chunk in response.iter_bytes(4096):
        read += chunk
        if len(read) > 64 * EXCERPT:
            break
    return read.decode("utf-8", "replace")


def refusal(service: Service, response: httpx.Response, body: str) -> ResourceError | ValidationError:
    """Return the error for a status of 400 or more: one that may go away, a closed door, or a wrong request."""
    code, url = response.status_code, str(response.url)
    said = " ".join(body.split())[:EXCERPT]
    message = f"{service.name} answers {code} {response.reason_phrase}".strip() + "."
    details = {"url": url, "status": code, "answer": body[: 8 * EXCERPT]}
    if code in (408, 425, 429) or code >= 500:
        pause = _retry_after(response.headers.get("retry-after")) if code in (429, 503) else None
        return for_now(service, url, message, status=code, answer=said, retry_after_s=pause)
    if code in (401, 403, 407, 451):
        return ResourceError(message, hint=f"It refuses us: {said}", details=details)
    return ValidationError(message, hint=f"It says: {said}" if said else "", details=details)


def _retry_after(text: str | None) -> float | None:
    """Read `Retry-After`: seconds or a date."""
    if not text:
        return None
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
