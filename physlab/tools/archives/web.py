"""The one way to ask a public service: politely, within limits, and with a memory.

Every request waits for its turn (`webpace`), is tried again when it failed for now (429, 5xx, a broken connection),
and leaves its answer in the lab's home (`webcache`). A kept answer that is young enough spares the request; when the
service cannot be reached, a kept one of any age is taken and its age is said.
"""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlencode, urlsplit

from physlab.errors import ComputationError, ResourceError, TimeLimitError, ValidationError
from physlab.keys import digest
from physlab.tools.archives.webaddress import redirected, site_of
from physlab.tools.archives.webanswer import (
    MB,
    Answer,
    Service,
    excerpt,
    for_now,
    hint,
    offline,
    refusal,
    spell_age,
    too_large,
)
from physlab.tools.archives.webcache import AnswerCache, Kept
from physlab.tools.archives.webpace import Pace
from physlab.tools.context import Context
from physlab.tools.fingerprint import version

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")
Fields = Sequence[tuple[str, str]]
MAX_REDIRECTS = 5
LONGEST_BACKOFF_S = 60.0
KEPT_HEADERS = ("content-type", "last-modified", "etag", "cmr-hits")


@dataclass
class Client:
    """Asks services on behalf of one call.

    Args:
        context: The call: its settings, its home, its time limit; it gets the warnings and `meta`.
        max_age_s: A kept answer up to this age is taken [s]; None takes the lab's setting.
    """

    context: Context
    max_age_s: float | None = None
    sources: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        web, home = self.context.web, self.context.home or self.context.workdir
        self.web = web
        self.fresh_s = web.max_age_h * 3600 if self.max_age_s is None else self.max_age_s
        self.cache = AnswerCache(home / "web" / "answers")
        self.pace = Pace(home / "web" / "pace")
        limit = self.context.time_limit_s
        self.deadline = time.monotonic() + limit - min(5.0, 0.1 * limit)
        self._chance = random.SystemRandom()

    def ask(
        self,
        service: Service,
        path: str,
        fields: Fields = (),
        *,
        read: Callable[[Answer], T],
        form: Fields | None = None,
        accept: str = "*/*",
        limit_mb: float | None = None,
        lasting: bool = False,
        patience: int = 0,
    ) -> T:
        """Return what a service answers.

        Args:
            service: Whom to ask.
            path: Path below the service's address.
            fields: Query of the URL.
            read: Makes the result of an answer; one that it refuses is not kept. A ResourceError of it means: not yet.
            form: Fields to be posted; None asks with GET.
            accept: Media type wanted.
            limit_mb: Largest body [MB]; None takes the limit for answers.
            lasting: True when this answer never changes, so that its age does not matter.
            patience: Retries beside those of the settings, for a service that prepares its answer.

        Raises:
            ValidationError: The service says that the request is wrong.
            ResourceError: It cannot be reached, and no answer is kept.
            ComputationError: The answer is not what it should be.
        """
        url = f"{service.url}{path}" + (f"?{urlencode(fields)}" if fields else "")
        request = {"url": url, "form": [list(pair) for pair in form or ()], "accept": accept}
        key = digest(request)
        kept = self.cache.find(key)
        if kept is not None and (lasting or self._age(kept) <= self.fresh_s):
            try:
                return self._take(kept, read, service)
            except (ComputationError, ResourceError, ValidationError):
                kept = None
        if self.web.offline:
            return self._old(kept, read, service, offline(service, url))
        try:
            fresh = self._try(
                service, url, form, accept, (limit_mb or self.web.max_answer_mb) * MB, read, key, patience
            )
        except ResourceError as error:
            return self._old(kept, read, service, error)
        self.cache.make_room(self.web.keep_mb * MB, time.time())
        return fresh

    def finish(self) -> None:
        """Write into `meta` which answers the result rests on, and how old they are."""
        ages = [float(source["age_s"]) for source in self.sources]
        self.context.meta.update(
            cached=bool(self.sources) and all(source["cached"] for source in self.sources),
            age_s=max(ages, default=0.0),
            sources=self.sources,
        )

    def fetch_file(
        self, service: Service, path: str, name: str, *, limit_mb: float, check: Callable[[Path], None] = lambda _: None
    ) -> Path:
        """Download a file that never changes, into the call's own folder.

        Args:
            service: Where it lies.
            path: Path below the service's address.
            name: Its name in the folder.
            limit_mb: It may be so large [MB].
            check: Raises ComputationError when the bytes are not right.

        Returns:
            The file.
        """

        def copy(answer: Answer) -> Path:
            check(answer.body)
            target = self.context.workdir / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(answer.body, target)
            return target

        return self.ask(service, path, read=copy, limit_mb=limit_mb, lasting=True)

    def _age(self, kept: Kept) -> float:
        return max(0.0, time.time() - kept.retrieved)

    def _take(self, kept: Kept, read: Callable[[Answer], T], service: Service) -> T:
        result = read(Answer(self.cache.path(kept), kept.headers))
        self._note(kept, service, cached=True)
        return result

    def _note(self, kept: Kept, service: Service, *, cached: bool) -> None:
        moment = datetime.fromtimestamp(kept.retrieved, UTC).isoformat(timespec="seconds")
        self.sources.append(
            {
                "service": service.name,
                "url": kept.url,
                "retrieved": moment.replace("+00:00", "Z"),
                "age_s": round(self._age(kept), 1) if cached else 0.0,
                "cached": cached,
                "sha256": kept.sha256,
                "bytes": kept.size,
            }
        )

    def _old(self, kept: Kept | None, read: Callable[[Answer], T], service: Service, error: ResourceError) -> T:
        if kept is None:
            raise error
        result = self._take(kept, read, service)
        self.context.warn(
            f"{error.message} Taken instead: the answer of {self.sources[-1]['retrieved']}, "
            f"{spell_age(self._age(kept))} old."
        )
        return result

    def _try(
        self,
        service: Service,
        url: str,
        form: Fields | None,
        accept: str,
        limit: float,
        read: Callable[[Answer], T],
        key: str,
        patience: int,
    ) -> T:
        attempts = 1 + self.web.retries + patience
        for attempt in range(1, attempts + 1):
            self.pace.wait(site_of(url), service.delay_s, self._left(service))
            try:
                with self.cache.draft() as draft:
                    headers = self._load(service, url, form, accept, limit, draft)
                    retrieved = time.time()
                    result = read(Answer(draft, headers))  # an answer that cannot be read is not kept
                    self._note(self.cache.keep(key, draft, url, retrieved, headers), service, cached=False)
                return result
            except ResourceError as error:
                if not error.details.get("again"):
                    raise
                if attempt == attempts:
                    raise ResourceError(
                        f"{error.message} Tried {attempt} times.", hint=error.hint, details=error.details
                    ) from error
                self._rest(service, url, attempt, error.details.get("retry_after_s"))
        raise AssertionError("unreachable")

    def _left(self, service: Service) -> float:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeLimitError(
                f"{service.name} did not answer within the {self.context.time_limit_s:g} s of this node.",
                hint="Ask for less, or raise resources.walltime_s with allow_large: true.",
            )
        return left

    def _rest(self, service: Service, url: str, attempt: int, asked_s: float | None) -> None:
        """Wait before the next attempt: as long as the service asks, else twice as long each time, with jitter."""
        wait = min(LONGEST_BACKOFF_S, self.web.backoff_s * 2 ** (attempt - 1)) * self._chance.uniform(0.5, 1.5)
        if asked_s is not None:
            wait = asked_s
            self.pace.pause(site_of(url), wait)
        if wait > self._left(service):
            raise ResourceError(
                f"{service.name} asks for a pause of {wait:.0f} s, longer than this node may take.",
                hint="Run again later.",
                details={"url": url, "retry_after_s": wait},
            )
        if asked_s is None:
            self.pace.sleep(wait)

    def _load(
        self, service: Service, url: str, form: Fields | None, accept: str, limit: float, target: Path
    ) -> dict[str, str]:
        """Write the body of an answer to a file and return the headers to keep."""
        import httpx

        try:
            for _ in range(MAX_REDIRECTS + 1):
                method, data = ("GET", None) if form is None else ("POST", dict(form))
                with self._http.stream(method, url, data=data, headers={"Accept": accept}) as response:
                    if response.has_redirect_location:
                        url = redirected(url, response.headers["location"])
                        continue
                    self._receive(service, response, limit, target)
                    return {name: response.headers[name] for name in KEPT_HEADERS if name in response.headers}
        except httpx.TransportError as error:
            reason = str(error).strip().rstrip(".") or type(error).__name__
            raise for_now(
                service, url, f"{service.name} at {urlsplit(url).netloc} does not answer: {reason}."
            ) from error
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            raise ResourceError(f"{service.name} cannot be asked: {error}.", hint=hint(service)) from error
        raise ResourceError(f"{url} redirects more than {MAX_REDIRECTS} times.", hint=hint(service))

    def _receive(self, service: Service, response: httpx.Response, limit: float, target: Path) -> None:
        code = response.status_code
        if code >= 400:
            raise refusal(service, response, excerpt(response))
        announced = int(response.headers.get("content-length") or 0)
        size = 0
        with target.open("wb") as file:
            for chunk in _within(response, announced, limit, service):
                size += file.write(chunk)
                if size > limit:
                    raise too_large(service, str(response.url), limit)
                self._left(service)

    @cached_property
    def _http(self) -> httpx.Client:
        import httpx

        agent = f"physlab/{version('physlab')} (physics laboratory software"
        agent += f"; {self.web.contact})" if self.web.contact else ")"
        timeout = httpx.Timeout(self.web.timeout_s, connect=min(15.0, self.web.timeout_s))
        return httpx.Client(timeout=timeout, headers={"User-Agent": agent}, follow_redirects=False)


def _within(response: httpx.Response, announced: int, limit: float, service: Service) -> Iterator[bytes]:
    if announced > limit:
        raise too_large(service, str(response.url), limit)
    yield from response.iter_bytes(1 << 16)
