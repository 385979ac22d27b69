"""How a cluster is reached: access that expires, and kubeconfigs that are broken."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from physlab.errors import ConfigurationError
from physlab.sites.kubernetes.api import KubeApi

PLUGIN = """#!/bin/sh
n=$(cat {count} 2>/dev/null || echo 0); n=$((n + 1)); echo $n >{count}
echo '{{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {{"token": "t'$n'"}}}}'
"""


def kubeconfig(folder: Path, user: dict[str, Any], host: str = "http://127.0.0.1:1", **cluster: Any) -> Path:
    made = {
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u", "namespace": "lab"}}],
        "clusters": [{"name": "k", "cluster": {"server": host, **cluster}}],
        "users": [{"name": "u", "user": user}],
    }  # fmt: skip
    path = folder / "kubeconfig"
    path.write_text(json.dumps(made))
    return path


class Guarded:
    """A real HTTP server that lets in who shows a certain token, which is not long the same."""

    def __init__(self, folder: Path) -> None:
        self.known, self.shown = "t1", list[str]()
        self._folder, self.count = folder, folder / "count"

    async def handle(self, request: web.Request) -> web.Response:
        self.shown.append(token := request.headers.get("authorization", "").removeprefix("Bearer "))
        if token != self.known:
            return web.json_response({"kind": "Status", "message": "Unauthorized"}, status=401)
        return web.Response(text='{"items": []}\n')

    async def serve(self, use: Callable[[KubeApi], Awaitable[Any]]) -> Any:
        runner = web.AppRunner(app := web.Application())
        app.router.add_route("*", "/{path:.*}", self.handle)
        await runner.setup()
        await (site := web.TCPSite(runner, "127.0.0.1", 0)).start()
        assert site.name
        (plugin := self._folder / "plugin").write_text(PLUGIN.format(count=self.count))
        plugin.chmod(0o755)
        login = {"apiVersion": "client.authentication.k8s.io/v1", "command": str(plugin), "interactiveMode": "Never"}
        path = kubeconfig(self._folder, {"exec": login}, f"http://127.0.0.1:{runner.addresses[0][1]}")
        try:
            async with await KubeApi.open(path) as api:
                return await use(api)
        finally:
            await runner.cleanup()


async def heard(api: KubeApi) -> bytes:
    return b"".join([line async for line in api.lines(api.path("pods"), {}, silence_s=5)])


def test_access_that_expired_is_renewed_once_for_all(tmp_path: Path) -> None:
    guarded = Guarded(tmp_path)

    async def use(api: KubeApi) -> None:
        await api.ask("GET", api.path("jobs"))
        guarded.known = "t2"
        await asyncio.gather(*(api.ask("GET", api.path("jobs")) for _ in range(8)))
        assert guarded.count.read_text() == "2\n", "the plugin runs once for all of them"
        guarded.known = "t3"
        assert await heard(api) == b'{"items": []}\n'

    asyncio.run(guarded.serve(use))
    assert guarded.shown[-2:] == ["t2", "t3"]


def test_who_is_not_known_with_new_access_either_is_told_so(tmp_path: Path) -> None:
    guarded = Guarded(tmp_path)

    async def use(api: KubeApi) -> None:
        guarded.known = "of somebody else"
        for ask in (lambda: api.ask("GET", api.path("jobs")), lambda: heard(api)):
            with pytest.raises(ConfigurationError, match="does not know who asks"):
                await ask()

    asyncio.run(guarded.serve(use))
    assert guarded.shown == ["t1", "t2", "t2", "t3"]


BAD_CA = base64.b64encode(b"no certificate").decode()


@pytest.mark.parametrize(("text", "said"), [
    ("a: [1, b: {", "while parsing"),
    ("\x00", "special characters"),
    ("", "it is no kubeconfig"),
    ("just words", "it is no kubeconfig"),
    ("- 1\n- 2", "it is no kubeconfig"),
    ("contexts: 7", "it is no kubeconfig"),
    ("current-context: c\ncontexts: [{name: c, context: 5}]", "it is no kubeconfig"),
    ("contexts: []\nclusters: []\nusers: []", "current-context"),
])  # fmt: skip
def test_a_broken_kubeconfig_is_named_with_the_reason(text: str, said: str, tmp_path: Path) -> None:
    (path := tmp_path / "kubeconfig").write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        asyncio.run(KubeApi.open(path))
    assert str(path) in caught.value.message and said in caught.value.message and "\n" not in caught.value.message


@pytest.mark.parametrize(("user", "host", "cluster", "said"), [
    ({}, "https://h", {"certificate-authority-data": BAD_CA}, "certificate"),
    ({}, "https://h", {"certificate-authority-data": "aaaaa"}, "base64"),
    ({}, "https://h", {"certificate-authority": "nowhere.pem"}, "nowhere.pem"),
    ({"exec": {"apiVersion": "v1", "command": "/no/such/plugin"}}, "http://h", {}, "/no/such/plugin"),
    ({"exec": {"apiVersion": "v1", "command": "false"}}, "http://h", {}, "process returned 1"),
    ({}, 5, {}, "it is no kubeconfig"),
], ids=["bad CA", "no base64", "no CA", "no plugin", "plugin fails", "odd server"])  # fmt: skip
def test_access_that_leads_nowhere_is_named_with_the_reason(
    user: Any, host: Any, cluster: dict[str, Any], said: str, tmp_path: Path
) -> None:
    path = kubeconfig(tmp_path, user, host, **cluster)
    with pytest.raises(ConfigurationError) as caught:
        asyncio.run(KubeApi.open(path))
    assert str(path) in caught.value.message and said in caught.value.message
