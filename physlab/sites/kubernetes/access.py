"""How a cluster is reached: by a kubeconfig, or by what a pod is given; read again when access has expired."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from physlab.errors import ConfigurationError, MissingExtraError
from physlab.settings import child_environment

_IN_POD = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_ODD = (AttributeError, TypeError, LookupError, AssertionError)
"""What the loader raises where a document is not what it takes for granted."""


@dataclass
class Access:
    """The way to a cluster.

    Attributes:
        kubeconfig: The one named; None for KUBECONFIG, ~/.kube/config, or what the pod is given that we are in.
        context: Which of its contexts; None for the current one.
    """

    kubeconfig: Path | None = None
    context: str | None = None
    _guard: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False)

    async def open(self) -> tuple[Any, str]:
        """Return a client of kubernetes_asyncio, and the namespace that is meant when none is named.

        Raises:
            ConfigurationError: There is no access, or it cannot be read.
            MissingExtraError: The client's package is not installed.
        """
        return await self._told(client=True)

    async def renew(self, client: Any, used: object) -> None:
        """Give a client the access of this moment, unless that was done since a key was used; plugins run again.

        Args:
            client: The client.
            used: The key that was refused, as `key` told it before.

        Raises:
            ConfigurationError: There is no access any more.
        """
        async with self._guard:
            if self.key(client) == used:
                made, _ = await self._told(client=False)
                client.configuration.api_key = made.api_key
                client.configuration.refresh_api_key_hook = made.refresh_api_key_hook

    @staticmethod
    def key(client: Any) -> object:
        """Return the key that a client shows at the moment."""
        return client.configuration.api_key.get("BearerToken")

    async def _told(self, *, client: bool) -> tuple[Any, str]:
        """Read it; return a client or its configuration, and the namespace; every fault is told as one of the file."""
        try:
            import aiohttp
            import yaml  # type: ignore[import-untyped]
            from kubernetes_asyncio import client as clients
            from kubernetes_asyncio import config
        except ImportError as error:
            raise MissingExtraError(
                "Kubernetes needs a package that is not installed.", hint="pip install 'physlab[kubernetes]'"
            ) from error
        faults = (config.ConfigException, yaml.YAMLError, aiohttp.ClientError, OSError, ValueError, RuntimeError, *_ODD)
        made = clients.Configuration()
        made.connection_pool_maxsize = 0  # logs that are followed hold a connection each; the listener counts them
        given = str(self.kubeconfig or child_environment({}).get("KUBECONFIG", "")) or "~/.kube/config"
        try:
            namespace = await self._load(given, made)
            return (clients.ApiClient(made) if client else made), namespace
        except faults as error:
            raise ConfigurationError(
                f"There is no access to a Kubernetes cluster: {given}: {_reason(error)}",
                hint="Set KUBECONFIG, or kubeconfig and context under [sites.kubernetes.NAME] in physlab.toml.",
            ) from error

    async def _load(self, given: str, made: Any) -> str:
        """Fill a configuration; return its namespace."""
        from kubernetes_asyncio import config

        files = [Path(part).expanduser() for part in given.split(":") if part]
        if any(file.is_file() for file in files):
            loader = await config.load_kube_config(given, self.context, made)
            return str((loader.current_context or {})["context"].get("namespace") or "default")
        if self.kubeconfig is not None or not _IN_POD.is_file():
            raise FileNotFoundError("there is no such file")
        config.load_incluster_config(client_configuration=made)  # type: ignore[no-untyped-call]
        return _IN_POD.read_text(encoding="utf-8").strip()


def _reason(error: Exception) -> str:
    said = " ".join(str(error).split())
    if isinstance(error, _ODD):
        return f"it is no kubeconfig, or a broken one ({type(error).__name__}{said and ': '}{said})"
    return said or type(error).__name__
