"""Logs, watches and an API of Kubernetes that break, and what is asked again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web
from ruamel.yaml import YAML

from physlab.errors import ConfigurationError, PhyslabError, ResourceError, ValidationError
from physlab.sites.kubernetes import api, logs
from physlab.sites.kubernetes import watch as watches
from physlab.sites.kubernetes.watch import Watch


class Replay:
    """An API whose log is cut off at given places, as if streams broke, and that knows whole seconds only."""

    def __init__(self, lines: list[tuple[str, str]], cuts: list[int]) -> None:
        self._all = [f"{at} {text}\n".encode() for at, text in lines]
        self._cuts, self.asked = cuts, 0

    def path(self, *words: str) -> str:
        return "/".join(words)

    async def lines(self, path: str, query: dict[str, str], *, silence_s: float) -> AsyncIterator[bytes]:
        self.asked += 1
        end = self._cuts.pop(0) if self._cuts else None
        since = datetime.fromisoformat(query.get("sinceTime", "1970-01-01T00:00:00Z"))
        for line, whole in zip(b"".join(self._all)[:end].splitlines(keepends=True), self._all, strict=False):
            if datetime.fromisoformat(whole.partition(b" ")[0].decode()) >= since:
                yield line
        if end is not None:
            raise ResourceError("broken")


def test_a_log_comes_whole_and_once_however_often_it_breaks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "PAUSE_S", (0.0, 0.0))
    # several lines a second, equal texts, two streams a little out of step, and breaks in the middle of lines
    times = [f"2026-01-01T00:00:{n // 7:02d}.{(n * 37) % 1000:09d}Z" for n in range(200)]
    said = [(at, f"line {n % 3}") for n, at in enumerate(times)]
    whole = sum(len(f"{at} {text}\n") for at, text in said)
    cuts = [1, 40, 1000, 1001, 3333, 3333, 5000, whole - 1]
    replay = Replay(said, list(cuts))
    stream = logs.LogStream(replay, "ns", "pod", "job", lambda: replay.asked > len(cuts))  # type: ignore[arg-type]

    async def hear() -> list[bytes]:
        return [line async for line in stream.lines()]

    assert asyncio.run(hear()) == [f"{text}\n".encode() for _, text in said]
    assert replay.asked > len(cuts), "it broke each time"


@pytest.mark.parametrize("zones", [("+02:00",), ("-05:30",), ("+02:00", "+01:00")], ids=["east", "west", "changing"])
def test_a_log_of_a_machine_that_is_not_on_utc_comes_whole_and_once(
    zones: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "PAUSE_S", (0.0, 0.0))
    said = []
    for n in range(200):
        zone = zones[n * len(zones) // 200]
        own = datetime(2026, 1, 1, 10, tzinfo=UTC) + timedelta(seconds=n // 7)
        local = own.astimezone(datetime.fromisoformat(f"2026-01-01T00:00:00{zone}").tzinfo)
        said.append((f"{local:%Y-%m-%dT%H:%M:%S}.{n:09d}{zone}", f"line {n % 3}"))
    replay = Replay(said, cuts := [40, 1000, 3333, 5000, 6001])
    count = len(cuts)
    stream = logs.LogStream(replay, "ns", "pod", "job", lambda: replay.asked > count)  # type: ignore[arg-type]

    async def hear() -> list[bytes]:
        return [line async for line in stream.lines()]

    assert asyncio.run(hear()) == [f"{text}\n".encode() for _, text in said]


class Changing:
    """An API that forgets its past once, and loses and changes objects meanwhile."""

    def __init__(self) -> None:
        self.listed, self.watched = 0, 0

    def path(self, kind: str, namespace: str) -> str:
        return kind

    async def list(self, kind: str, namespace: str, *, labels: str) -> tuple[list[dict[str, Any]], str]:
        self.listed += 1
        names = ("a", "b") if self.listed == 1 else ("b", "c")
        return [{"metadata": {"name": name, "resourceVersion": "5"}} for name in names], str(self.listed)

    async def lines(self, path: str, query: dict[str, str], *, silence_s: float) -> AsyncIterator[bytes]:
        self.watched += 1
        if self.watched == 1:
            yield b'{"type": "ADDED", "object": {"metadata": {"name": "x", "resourceVersion": "6"}}}\n'
            yield b'{"type": "ERROR", "object": {"kind": "Status", "code": 410, "message": "too old"}}\n'
        assert query["resourceVersion"] in ("1", "2")
        await asyncio.sleep(3600)


def test_a_watch_that_the_server_forgot_lists_again() -> None:
    async def follow() -> tuple[set[str], set[str]]:
        changing = Changing()
        watch = Watch(changing, "ns", "l", ("jobs",))  # type: ignore[arg-type]
        await watch.ready(5)
        while changing.watched < 2:
            await asyncio.sleep(0)
        await watch.close()
        return set(watch.present["jobs"]), set(watch.gone["jobs"])

    assert asyncio.run(follow()) == ({"b", "c"}, {"a", "x"})


class Halved:
    """An API that lists pods at once, and forbids it for jobs until it is allowed."""

    def __init__(self) -> None:
        self.forbidden = True

    def path(self, kind: str, namespace: str) -> str:
        return kind

    async def list(self, kind: str, namespace: str, *, labels: str) -> tuple[list[dict[str, Any]], str]:
        if kind == "jobs" and self.forbidden:
            await asyncio.sleep(0.02)
            raise ConfigurationError("forbidden", hint="Ask.")
        return [{"metadata": {"name": kind}}], "1"

    async def lines(self, path: str, query: dict[str, str], *, silence_s: float) -> AsyncIterator[bytes]:
        await asyncio.sleep(0.01)
        if path == "jobs" and self.forbidden:
            raise ConfigurationError("expired", hint="Log in.")
        yield b'{"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "1"}}}\n'


def test_one_kind_that_is_listed_hides_no_trouble_with_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watches, "PAUSE_S", (0.01, 0.01))

    async def follow() -> None:
        watch = Watch(halved := Halved(), "ns", "l", ("jobs", "pods"))  # type: ignore[arg-type]
        with pytest.raises(ConfigurationError):
            await watch.ready(5)
        await asyncio.sleep(0.1)  # pods are listed and followed meanwhile
        for trouble in (True, False, True, False):
            halved.forbidden = trouble
            await asyncio.sleep(0.1)
            if trouble:
                with pytest.raises(ConfigurationError):
                    await watch.ready(5)
            else:
                await watch.ready(5)
                assert set(watch.present["jobs"]) == {"jobs"}
        await watch.close()

    asyncio.run(follow())


def test_what_was_never_listed_is_not_ready() -> None:
    async def wait() -> None:
        watch = Watch(halved := Halved(), "ns", "l", ("jobs", "pods"))  # type: ignore[arg-type]
        with pytest.raises(ResourceError, match="did not list"):
            await watch.ready(0.0)
        assert halved.forbidden
        await watch.close()

    asyncio.run(wait())


class Server:
    """A real HTTP server that answers as it is told, one answer after another; status 0 hangs up instead."""

    def __init__(self, *answers: tuple[int, dict[str, Any], dict[str, str]]) -> None:
        self.answers, self.asked = list(answers), 0
        self.methods: list[str] = []

    async def handle(self, request: web.Request) -> web.Response:
        self.asked += 1
        self.methods.append(request.method)
        status, body, headers = self.answers.pop(0)
        if not status and request.transport is not None:
            request.transport.close()
        return web.json_response(body, status=status or 200, headers=headers)

    async def ask(self, method: str, kind: str, patience_s: float = 10) -> Any:
        return await self.serve(lambda asked: asked.ask(method, asked.path(kind), patience_s=patience_s))

    async def serve(self, use: Callable[[api.KubeApi], Awaitable[Any]]) -> Any:
        from kubernetes_asyncio import client

        runner = web.AppRunner(app := web.Application())
        app.router.add_route("*", "/{path:.*}", self.handle)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        made = client.Configuration()
        made.host = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            async with api.KubeApi(client.ApiClient(made), "lab") as asked:
                return await use(asked)
        finally:
            await runner.cleanup()


def test_a_busy_api_is_asked_again_when_it_says() -> None:
    busy = (429, {"kind": "Status", "message": "slow down"}, {"Retry-After": "0"})
    server = Server(busy, (503, {}, {"Retry-After": "0"}), (200, {"items": []}, {}))
    assert asyncio.run(server.ask("GET", "jobs")) == {"items": []} and server.asked == 3
    with pytest.raises(ResourceError, match=r"answers 429.*slow down"):
        asyncio.run(Server(*[busy] * 50).ask("GET", "jobs", patience_s=-1))


@pytest.mark.parametrize(("status", "message", "kind", "said"), [
    (403, 'jobs.batch is forbidden: User "eve" cannot create resource', ConfigurationError, "pods/log"),
    (403, "jobs.batch is forbidden: exceeded quota: small, requested: count/jobs=1", ResourceError, "Ask for less"),
    (401, "Unauthorized", ConfigurationError, "Log in again"),
    (422, 'Job.batch "x" is invalid: spec.foo', ValidationError, "spec.foo"),
])  # fmt: skip
def test_a_refusal_says_what_to_do(status: int, message: str, kind: type[PhyslabError], said: str) -> None:
    with pytest.raises(kind) as caught:
        asyncio.run(Server((status, {"kind": "Status", "message": message}, {})).ask("POST", "jobs"))
    assert said in str(caught.value)
    if said == "pods/log":
        role = YAML(typ="safe").load(caught.value.hint.partition("\n")[2])
        assert role["metadata"]["namespace"] == "lab" and len(role["rules"]) == 3, "it can be pasted"
    assert json.dumps(caught.value.as_reply())


JOB = {"metadata": {"name": "x", "labels": {"physlab.io/job": "x"}}}


def refused(status: int, reason: str, message: str) -> tuple[int, dict[str, Any], dict[str, str]]:
    return status, {"kind": "Status", "reason": reason, "message": message}, {}


LOST: tuple[int, dict[str, Any], dict[str, str]] = (0, {}, {})
MADE: tuple[int, dict[str, Any], dict[str, str]] = (200, JOB, {})
NONE = refused(404, "NotFound", "there is none")
THERE = refused(409, "AlreadyExists", "it exists")
QUOTA = refused(403, "Forbidden", "exceeded quota: small")
UPDATED = refused(409, "Conflict", 'Operation cannot be fulfilled on resourcequotas "small"')


@pytest.mark.parametrize(("answers", "methods"), [
    ([UPDATED, NONE, UPDATED, NONE, MADE], "POST GET POST GET POST"),
    ([LOST, QUOTA, MADE], "POST POST GET"),
    ([LOST, UPDATED, MADE], "POST POST GET"),
    ([LOST, THERE, MADE], "POST POST GET"),
], ids=["a quota is updated", "lost, then no room", "lost, then a quota is updated", "lost, then there"])  # fmt: skip
def test_a_job_is_made_although_the_api_seems_to_refuse_it(
    answers: list[Any], methods: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "PAUSE_S", (0.0, 0.0))
    server = Server(*answers)
    assert asyncio.run(server.serve(lambda asked: asked.create("jobs", JOB))) == JOB
    assert " ".join(server.methods) == methods


@pytest.mark.parametrize(("answers", "kind", "said"), [
    ([THERE, (200, {"metadata": {"name": "x"}}, {})], ValidationError, "exists"),
    ([QUOTA, NONE], ResourceError, "Ask for less"),
    ([QUOTA, refused(403, "Forbidden", "get is forbidden")], ResourceError, "Ask for less"),
    ([UPDATED, NONE], ResourceError, "resourcequotas"),
])  # fmt: skip
def test_a_refusal_of_a_job_that_was_not_made_is_believed(
    answers: list[Any], kind: type[PhyslabError], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "PATIENCE_S", 0.0)
    with pytest.raises(kind, match=said):
        asyncio.run(Server(*answers).serve(lambda asked: asked.create("jobs", JOB)))
