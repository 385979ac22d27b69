"""Answers that go on: watches, and logs that are followed."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime

from aiohttp import web

from physlab.testing.kubernetes import outputs
from physlab.testing.kubernetes.faults import Faults, abort
from physlab.testing.kubernetes.kinds import Kind
from physlab.testing.kubernetes.kubelet import Kubelet
from physlab.testing.kubernetes.objects import Obj, name_of, namespace_of
from physlab.testing.kubernetes.outputs import Output
from physlab.testing.kubernetes.refusals import Refusal, bad_request, expired
from physlab.testing.kubernetes.selectors import Test, parse
from physlab.testing.kubernetes.store import Change, Store

LONGEST_S = 1800.0
BOOKMARK_S = 60.0
_TRUE = ("true", "True", "1")


def flag(query: Mapping[str, str], name: str) -> bool:
    """Return whether a switch of a request is on."""
    return query.get(name) in _TRUE


async def first(*pulses: asyncio.Event, timeout_s: float) -> None:
    """Wait until one of several things happens, or a time is over."""
    tasks = [asyncio.ensure_future(pulse.wait()) for pulse in pulses]
    try:
        await asyncio.wait(tasks, timeout=max(0.0, timeout_s), return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


class Watch:
    """One watch: what changes of a kind, as somebody with these selectors sees it.

    Args:
        store: The objects.
        faults: What goes wrong.
        request: The request.
        kind: Kind of the objects.
        namespace: Their namespace; empty for all.
        name: Only this object, if given.
    """

    def __init__(
        self, store: Store, faults: Faults, request: web.Request, kind: Kind, namespace: str, name: str = ""
    ) -> None:
        self._store, self._faults, self._request, self._kind = store, faults, request, kind
        self._namespace, self._query = namespace, request.query
        fields = request.query.get("fieldSelector", "")
        if name:
            fields = ",".join(filter(None, (fields, f"metadata.name={name}")))
        self._matches: Test = parse(kind, request.query.get("labelSelector", ""), fields)
        self._seen = store.revision

    async def answer(self) -> web.StreamResponse:
        """Stream the changes until the time is over."""
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        begun, cuts = time.monotonic(), self._faults.watches
        start = self._query.get("resourceVersion", "")
        if start not in ("", "0") and not start.isdigit():
            raise bad_request(f'resourceVersion: Invalid value: "{start}": strconv.ParseUint: parsing: invalid syntax')
        await response.prepare(self._request)
        end = begun + float(self._query.get("timeoutSeconds") or LONGEST_S)
        marked = begun
        with suppress(ConnectionResetError):
            try:
                await self._initial(response, start)
                while time.monotonic() < end:
                    pulse, alarm = self._store.pulse, self._faults.pulse
                    await self._changes(response)
                    if self._faults.down:
                        abort(self._request)
                    if self._faults.watches != cuts:
                        raise expired(f"too old resource version: {self._seen} ({self._store.revision})")
                    if time.monotonic() - marked > BOOKMARK_S:
                        marked = time.monotonic()
                        await self._bookmark(response)
                    wait = min(end, marked + BOOKMARK_S) - time.monotonic()
                    if self._store.pulse is pulse:
                        await first(pulse, alarm, timeout_s=wait)
                await self._bookmark(response)
            except Refusal as refusal:
                await self._send(response, "ERROR", refusal.status())
            await response.write_eof()
        return response

    async def _initial(self, response: web.StreamResponse, start: str) -> None:
        events = flag(self._query, "sendInitialEvents")
        if start in ("", "0") or events:
            self._seen = self._store.revision
            for obj in self._store.all(self._kind, self._namespace):
                if self._matches(obj):
                    await self._send(response, "ADDED", obj)
            if events:
                await self._bookmark(response, {"k8s.io/initial-events-end": "true"})
        else:
            self._seen = int(start)
        self._store.after(self._seen)  # refuses one that is forgotten

    async def _changes(self, response: web.StreamResponse) -> None:
        for change in self._store.after(self._seen):
            self._seen = change.revision
            if (kind := self._sees(change)) is not None:
                await self._send(response, kind, change.obj)

    def _sees(self, change: Change) -> str | None:
        if change.kind is not self._kind or (self._namespace and namespace_of(change.obj) != self._namespace):
            return None
        after = change.type != "DELETED" and self._matches(change.obj)
        before = change.before is not None and self._matches(change.before)
        known = {(True, True): "MODIFIED", (True, False): "ADDED", (False, True): "DELETED"}
        return known.get((after, before))

    async def _bookmark(self, response: web.StreamResponse, annotations: dict[str, str] | None = None) -> None:
        if not flag(self._query, "allowWatchBookmarks"):
            return
        metadata: Obj = {"resourceVersion": str(max(self._seen, self._store.revision)), "creationTimestamp": None}
        if annotations:
            metadata["annotations"] = annotations
        await self._send(
            response, "BOOKMARK",
            {"kind": self._kind.kind, "apiVersion": self._kind.api_version, "metadata": metadata},
        )  # fmt: skip

    @staticmethod
    async def _send(response: web.StreamResponse, kind: str, obj: Obj) -> None:
        await response.write(json.dumps({"type": kind, "object": obj}, separators=(",", ":")).encode() + b"\n")


async def log(request: web.Request, faults: Faults, kubelets: dict[str, Kubelet], pod: Obj) -> web.StreamResponse:
    """Answer with what a container printed.

    Raises:
        Refusal: There is no such container, or nothing that it could have printed.
    """
    output = _output(request, kubelets, pod)
    query, after = request.query, _since(request)
    lines = [line for line in output.lines if line[0] >= after]
    tail = query.get("tailLines")
    start = len(output.lines) - (len(lines) if tail is None else min(len(lines), int(tail)))
    follow, stamps, left = flag(query, "follow"), flag(query, "timestamps"), query.get("limitBytes")
    room = int(left) if left else None
    response = web.StreamResponse(headers={"Content-Type": "text/plain"})
    await response.prepare(request)
    cuts = output.cut
    with suppress(ConnectionResetError):
        while True:
            pulse, alarm = output.pulse, faults.pulse
            while start < len(output.lines):
                if output.cut != cuts:
                    break
                moment, line = output.lines[start]
                start += 1
                data = (outputs.stamped(moment) if stamps else b"") + line
                data = data if room is None else data[:room]
                room = None if room is None else room - len(data)
                await response.write(data)
                if room == 0:
                    return response
            if faults.down:
                abort(request)
            if output.cut != cuts:
                await _broken(request, response, output, start)
            if not follow or output.over:
                break
            if output.pulse is pulse:
                await first(pulse, alarm, timeout_s=LONGEST_S)
        await response.write_eof()
    return response


async def _broken(request: web.Request, response: web.StreamResponse, output: Output, start: int) -> None:
    """Deliver half a line, and break the connection."""
    if start < len(output.lines):
        line = output.lines[start][1]
        await response.write(line[: len(line) // 2])
        await asyncio.sleep(0.05)
    abort(request)


def _since(request: web.Request) -> float:
    if request.query.get("sinceSeconds"):
        return time.time() - float(request.query["sinceSeconds"])
    if request.query.get("sinceTime"):
        try:
            return datetime.fromisoformat(request.query["sinceTime"].replace("Z", "+00:00")).timestamp()
        except ValueError as error:
            raise bad_request(f"sinceTime: {error}") from error
    return 0.0


def _output(request: web.Request, kubelets: dict[str, Kubelet], pod: Obj) -> Output:
    wanted, name = request.query.get("container", ""), name_of(pod)
    spec = pod["spec"]
    names = [one["name"] for one in spec["containers"]]
    initial = [one["name"] for one in spec.get("initContainers") or []]
    if not wanted:
        if len(names) > 1:
            more = f" or one of the init containers: [{' '.join(initial)}]" if initial else ""
            choice = f"choose one of: [{' '.join(names)}]{more}"
            raise bad_request(f"a container name must be specified for pod {name}, {choice}")
        wanted = names[0]
    if wanted not in (*names, *initial):
        raise bad_request(f"container {wanted} is not valid for pod {name}")
    where = spec.get("nodeName")
    if not where:
        raise bad_request(f"pod {name} does not have a host assigned")
    kubelet = kubelets[where]
    if kubelet.dead:
        why = f'Get "https://127.0.0.1:10250/containerLogs/{namespace_of(pod)}/{name}/{wanted}": dial tcp: i/o timeout'
        raise Refusal(500, "InternalError", why)
    runner = kubelet.find(pod)
    state = runner.states[wanted] if runner else None
    runs = state.outputs if state else []
    if flag(request.query, "previous"):
        if len(runs) < 2 and not (state and state.reason == "CrashLoopBackOff"):
            raise bad_request(f'previous terminated container "{wanted}" in pod "{name}" not found')
        return runs[-1] if state and state.reason == "CrashLoopBackOff" else runs[-2]
    if not runs:
        reason = state.reason if state else "ContainerCreating"
        told = {
            "ErrImagePull": "image can't be pulled", "ImagePullBackOff": "trying and failing to pull image",
            "ErrImageNeverPull": "ErrImageNeverPull",
        }.get(reason, reason or "ContainerCreating")  # fmt: skip
        if state and state.started:  # it ended before it began
            return Output(over=True)
        raise bad_request(f'container "{wanted}" in pod "{name}" is waiting to start: {told}')
    return runs[-1]
