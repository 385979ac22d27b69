"""The Kubernetes API as JSON: asked with patience, streamed, and each refusal said in words that help."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

from physlab.errors import ConfigurationError, PhyslabError, ResourceError, ValidationError
from physlab.sites.kubernetes.access import Access

PATIENCE_S = 30.0
ANSWER_S = 30.0
PAUSE_S = (0.5, 20.0)
AGAIN = (429, 500, 502, 503, 504)
PAGE = 500
GROUPS = {"jobs": "/apis/batch/v1", "cronjobs": "/apis/batch/v1", "pods": "/api/v1", "events": "/api/v1"}
ROLE = """apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {{name: physlab, namespace: {namespace}}}
rules:
- {{apiGroups: [batch], resources: [jobs, cronjobs], verbs: [create, get, list, watch, delete]}}
- {{apiGroups: [""], resources: [pods, events], verbs: [get, list, watch]}}
- {{apiGroups: [""], resources: [pods/log], verbs: [get]}}"""

Object = dict[str, Any]


class KubeApi:
    """One cluster, as the namespaced objects of its API.

    Args:
        client: A client of kubernetes_asyncio.
        namespace: The namespace that is meant when none is named.
        access: Where its access comes from, if it can be renewed.
    """

    def __init__(self, client: Any, namespace: str, access: Access | None = None) -> None:
        self._client, self._access = client, access
        self.namespace = namespace

    @classmethod
    async def open(
        cls, kubeconfig: Path | None = None, context: str | None = None, namespace: str | None = None
    ) -> Self:
        """Return a cluster by its kubeconfig: the one named, KUBECONFIG, ~/.kube/config, or that of the pod we are in.

        Raises:
            ConfigurationError: There is none, or it cannot be read.
            MissingExtraError: The client's package is not installed.
        """
        access = Access(kubeconfig, context)
        client, found = await access.open()
        return cls(client, namespace or found, access)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close its connections."""
        await self._client.close()

    async def create(self, kind: str, body: Object, namespace: str | None = None) -> Object:
        """Make an object that has a name; one that is there already since the answer was lost is returned as it is.

        Raises:
            ValidationError: The API refuses it; with its words.
            ResourceError: It is busy with something else all the time, a quota for instance.
        """
        deadline, pause = asyncio.get_running_loop().time() + PATIENCE_S, PAUSE_S[0]
        while True:
            try:
                return await self.ask("POST", self.path(kind, namespace), body=body)
            except PhyslabError as error:
                if error.details.get("status") not in (403, 409):
                    raise
                if (there := await self._made(kind, body, namespace)) is not None:
                    return there
                if error.details["status"] == 403 or error.details.get("reason") == "AlreadyExists":
                    raise
                if asyncio.get_running_loop().time() + pause > deadline:
                    raise ResourceError(error.message, hint="Try again later.", details=error.details) from error
            await asyncio.sleep(pause)
            pause = min(PAUSE_S[1], 2 * pause)

    async def _made(self, kind: str, body: Object, namespace: str | None) -> Object | None:
        """Return an object that an attempt made whose answer was lost; None when there is none, or another's."""
        try:
            there = await self.get(kind, body["metadata"]["name"], namespace)
        except (ConfigurationError, ValidationError):
            return None  # the refusal says more
        ours = there is not None and there["metadata"].get("labels") == body["metadata"].get("labels")
        return there if ours else None

    async def get(self, kind: str, name: str, namespace: str | None = None) -> Object | None:
        """Return an object; None when there is none of that name."""
        with _missing():
            return await self.ask("GET", self.path(kind, namespace, name))
        return None

    async def delete(self, kind: str, name: str, namespace: str | None = None, *, uid: str | None = None) -> bool:
        """Remove an object and what belongs to it; False when there is none.

        Args:
            kind: Such as `jobs`.
            name: Its name.
            namespace: Where.
            uid: Only if it is still the one with this uid.
        """
        body: Object = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}
        if uid is not None:
            body["preconditions"] = {"uid": uid}
        with _missing():
            await self.ask("DELETE", self.path(kind, namespace, name), body=body)
            return True
        return False

    async def list(
        self, kind: str, namespace: str | None = None, *, labels: str = "", fields: str = ""
    ) -> tuple[list[Object], str]:
        """Return all objects that fit, page by page, and the version from which a watch goes on."""
        found: list[Object] = []
        query = {"limit": str(PAGE), **_selectors(labels, fields)}
        while True:
            page = await self.ask("GET", self.path(kind, namespace), query=query)
            found += page.get("items") or []
            query["continue"] = page["metadata"].get("continue") or ""
            if not query["continue"]:
                return found, str(page["metadata"].get("resourceVersion", ""))

    async def ask(
        self, method: str, path: str, *, query: Mapping[str, str] | None = None, body: Object | None = None,
        patience_s: float = PATIENCE_S,
    ) -> Object:  # fmt: skip
        """Ask, again and again while the cluster is busy or does not answer, and return its answer.

        Raises:
            ConfigurationError: Access is missing or not enough; with the Role that is.
            ValidationError: It refuses what it is asked; with its words.
            ResourceError: It does not answer, or a quota is used up.
        """
        deadline, pause = asyncio.get_running_loop().time() + patience_s, PAUSE_S[0]
        while True:
            wait_s = pause
            try:
                response = await self._send(method, path, query, body, ANSWER_S)
                async with response:
                    text = await response.text(errors="replace")
                    if response.status < 300:
                        return _read(text)
                    error = refusal(response.status, text, f"{method} {path}")
                    if response.status not in AGAIN:
                        raise error
                    wait_s = _asked_to_wait(response.headers.get("Retry-After", ""), pause)
            except (OSError, TimeoutError, _aiohttp().ClientError) as lost:
                error = _silent(self._client.configuration.host, lost)
            if asyncio.get_running_loop().time() + wait_s > deadline:
                raise error
            await asyncio.sleep(wait_s)
            pause = min(PAUSE_S[1], 2 * pause)

    async def lines(self, path: str, query: Mapping[str, str], *, silence_s: float) -> AsyncIterator[bytes]:
        """Yield the lines of a stream, with their ends; a last one without its end was cut off, or has none.

        Args:
            path: Path in the API.
            query: What to add to it.
            silence_s: A stream that says nothing for so long has broken [s].

        Raises:
            ResourceError: The stream broke, or there is none.
        """
        rest = b""
        try:
            response = await self._send("GET", path, query, None, (ANSWER_S, silence_s))
            async with response:
                if response.status >= 300:
                    raise refusal(response.status, await response.text(errors="replace"), f"GET {path}")
                async for piece in response.content.iter_any():
                    *whole, rest = (rest + piece).split(b"\n")
                    for line in whole:
                        yield line + b"\n"
        except (OSError, TimeoutError, _aiohttp().ClientError) as error:
            raise _silent(self._client.configuration.host, error) from error
        if rest:
            yield rest

    async def _send(
        self, method: str, path: str, query: Mapping[str, str] | None, body: Object | None, timeout: Any
    ) -> Any:
        """Send a request; where access has expired, renew it and send once more."""
        used = Access.key(self._client)
        response = await self._call(method, path, query, body, timeout)
        if response.status != 401 or self._access is None:
            return response
        response.release()
        await self._access.renew(self._client, used)
        return await self._call(method, path, query, body, timeout)

    async def _call(
        self, method: str, path: str, query: Mapping[str, str] | None, body: Object | None, timeout: Any
    ) -> Any:
        return await self._client.call_api(
            path, method, query_params=list((query or {}).items()), body=body, auth_settings=["BearerToken"],
            header_params={"Accept": "application/json"}, _preload_content=False, _request_timeout=timeout,
        )  # fmt: skip

    def path(self, kind: str, namespace: str | None = None, name: str = "", part: str = "") -> str:
        """Return the path of a kind's objects, of one of them, or of a part of it."""
        words = [quote(namespace or self.namespace, safe=""), kind, *(quote(word, safe="") for word in (name, part))]
        return f"{GROUPS[kind]}/namespaces/{'/'.join(filter(None, words))}"


def refusal(status: int, text: str, what: str) -> PhyslabError:
    """Return the error that a refusal of the API is.

    Args:
        status: HTTP status.
        text: The answer, a `Status` object or anything else.
        what: What was asked, for people.
    """
    said = _read(text, lenient=True)
    message = str(said.get("message") or text.strip()[:300] or f"HTTP {status}")
    details = {"status": status, "reason": said.get("reason", "")}
    if status == 401:
        return ConfigurationError(
            f"The Kubernetes API does not know who asks ({what}): {message}",
            hint="Log in again, or renew the kubeconfig.", details=details,
        )  # fmt: skip
    if status == 403 and ("exceeded quota" in message or "terminated" in message):
        return ResourceError(
            f"The Kubernetes API refused it: {message}", hint="Ask for less, or wait until others end.", details=details
        )
    if status == 403:
        namespace = what.partition("/namespaces/")[2].partition("/")[0] or "default"
        return ConfigurationError(
            f"The Kubernetes API forbids it: {message}",
            hint=f"Whoever runs the cluster can allow it:\n{ROLE.format(namespace=namespace)}", details=details,
        )  # fmt: skip
    if status in (400, 404, 409, 410, 422):
        return ValidationError(f"The Kubernetes API refused it: {message}", hint="Correct it.", details=details)
    return ResourceError(
        f"The Kubernetes API answers {status} ({what}): {message}", hint="Try again later.", details=details
    )


@contextlib.contextmanager
def _missing() -> Any:
    """Leave the block quietly when what is asked for is not there."""
    try:
        yield
    except ValidationError as error:
        if error.details.get("status") != 404:
            raise


def _aiohttp() -> Any:
    import aiohttp

    return aiohttp


def _silent(host: str, error: BaseException) -> ResourceError:
    return ResourceError(
        f"The Kubernetes API at {host} does not answer: {str(error) or type(error).__name__}.",
        hint="Check the network and the kubeconfig, then try again.",
    )


def _read(text: str, *, lenient: bool = False) -> Object:
    try:
        found = json.loads(text)
    except ValueError as error:
        if lenient:
            return {}
        raise ResourceError(
            "The Kubernetes API answered no JSON.", hint="Is the kubeconfig's address right?"
        ) from error
    return found if isinstance(found, dict) else {}


def _asked_to_wait(text: str, otherwise: float) -> float:
    return min(float(text), PAUSE_S[1]) if text.isdigit() else otherwise


def _selectors(labels: str, fields: str) -> dict[str, str]:
    return {**({"labelSelector": labels} if labels else {}), **({"fieldSelector": fields} if fields else {})}
