"""Whether a Kubernetes cluster would really run a node, step by step; and the pool that it needs."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import httpx
from prefect import get_client
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import WorkerFilter
from prefect.exceptions import PrefectException

from physlab.engine.kubernetes import launch_pods
from physlab.engine.kubernetes.leftovers import cancel_leftovers
from physlab.engine.kubernetes.look import remove_jobs
from physlab.engine.kubernetes.pool import find_pool, make_pool
from physlab.engine.server import ServerInfo, connected, ensure_server
from physlab.errors import ConfigurationError, MissingExtraError, ResourceError
from physlab.lab import Lab
from physlab.model import Resources
from physlab.service.sites import Check, shielded, there_and_back
from physlab.settings import KubernetesSiteSettings, Settings
from physlab.sites.kubernetes.api import KubeApi
from physlab.sites.kubernetes.exchange import Exchange

LIGHT = 299792458.0
ANSWER_S = 10.0
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def install_pool(settings: Settings, name: str) -> tuple[str, str]:
    """Make the work pool of a site; return its name and the address of the server.

    Raises:
        PhyslabError: There is no server, or the pool is of another kind.
    """
    server = _server(settings)
    site = settings.sites.kubernetes[name]
    with connected(server), get_client(sync_client=True) as client:
        return make_pool(client, site.pool, site.namespace or _namespace(site)).name, str(client.api_url)


def _namespace(site: KubernetesSiteSettings) -> str | None:
    """Return the namespace of the site's kubeconfig; none where this machine has no access of its own."""

    async def look() -> str:
        async with await KubeApi.open(site.kubeconfig, site.context) as api:
            return api.namespace

    try:
        return asyncio.run(look())
    except (ConfigurationError, MissingExtraError):
        return None


def check_pods(settings: Settings, name: str) -> Iterator[Check]:
    """Look at a cluster step by step, from the Prefect server to a node that runs in a pod and comes back."""
    site = settings.sites.kubernetes[name]
    with connected(_server(settings)), get_client(sync_client=True) as client:
        looks: tuple[tuple[str, Callable[[], Check]], ...] = (
            ("server", lambda: _api(client, site)),
            ("pool", lambda: _pool(client, site, name)),
            ("worker", lambda: _worker(client, site)),
            ("store", lambda: _store(site, name)),
            ("cluster", lambda: _cluster(site)),
            ("left over", lambda: _leftovers(client, site)),
            ("round trip", lambda: _round_trip(settings, name)),
        )
        for label, look in looks:
            found = shielded(label, lambda look=look: _asked(look))  # type: ignore[misc]
            yield found
            if not found.ok:
                return


def _server(settings: Settings) -> ServerInfo:
    if settings.server.mode == "none":
        raise ConfigurationError(
            "Pods are started through a Prefect server, and server.mode is 'none'.", hint="Set it to 'lab'."
        )
    return ensure_server(settings)


def _asked(look: Callable[[], Check]) -> Check:
    try:
        return look()
    except (httpx.HTTPError, PrefectException) as error:
        raise ResourceError(f"The Prefect server: {error}", hint="Look at: physlab server status") from error


def _api(client: SyncPrefectClient, site: KubernetesSiteSettings) -> Check:
    if (problem := client.api_healthcheck()) is not None:
        return Check("server", False, str(problem), "Look at: physlab server status")
    url = site.api_url or str(client.api_url)
    near = urlsplit(url).hostname in LOOPBACK
    note = "; a pod on another machine cannot reach that: set api_url" if near else ""
    return Check("server", True, f"{url}{note}")


def _pool(client: SyncPrefectClient, site: KubernetesSiteSettings, name: str) -> Check:
    return Check("pool", True, f"{find_pool(client, site.pool, name).name}, with run-node")


def _worker(client: SyncPrefectClient, site: KubernetesSiteSettings) -> Check:
    beating = WorkerFilter.model_validate({"status": {"any_": ["ONLINE"]}})
    names = [worker.name for worker in client.read_workers_for_work_pool(site.pool, beating)]
    do = f"Start one that reaches the cluster: prefect worker start --pool {site.pool} --type kubernetes"
    return Check("worker", bool(names), ", ".join(names) or "none is online", "" if names else do)


def _store(site: KubernetesSiteSettings, name: str) -> Check:
    if site.store is None:
        return Check(
            "store", False, "none", f"Set store in [sites.kubernetes.{name}]: s3://bucket/prefix, or a folder."
        )
    exchange, probe = Exchange(site.store, site.store_endpoint), f"replies/check-{secrets.token_hex(8)}.json"
    exchange.write(probe, b"{}")
    came_back = exchange.read(probe) == b"{}"
    exchange.remove(probe)
    return Check("store", came_back, site.store, "" if came_back else "What is written there cannot be read.")


def _cluster(site: KubernetesSiteSettings) -> Check:
    async def look() -> str:
        async with await KubeApi.open(site.kubeconfig, site.context, site.namespace) as api:
            pods, _ = await api.list("pods")
            return f"{len(pods)} pods in {api.namespace}"

    try:
        return Check("cluster", True, asyncio.run(asyncio.wait_for(look(), ANSWER_S)))
    except (ConfigurationError, ResourceError, TimeoutError) as error:
        said = str(error).partition("\n")[0] or "it does not answer"
        return Check("cluster", True, f"not to be read from here, reasons come through Prefect: {said[:200]}")


def _leftovers(client: SyncPrefectClient, site: KubernetesSiteSettings) -> Check:
    found = cancel_leftovers(client)
    remove_jobs(site, found)
    count = len(found)
    return Check("left over", True, f"{count} flow runs of killed runs were cancelled" if count else "nothing")


def _round_trip(settings: Settings, name: str) -> Check:
    with Lab(settings, launch=launch_pods) as lab:
        [site] = lab.clusters(name)
        took, result = there_and_back(lab, site, "constants_get", {"name": "c"}, Resources())
    if result is None:
        return Check("round trip", False, f"no pod came back within {took:g} s", "kubectl get pods,events")
    pod = result.meta.get("pod", "")
    return Check("round trip", result.fields.get("value") == LIGHT, f"a node came back after {took:.1f} s from {pod}")
