"""Pods through Prefect: flow runs of `run-node` in a Kubernetes work pool, started, watched and stopped."""

from __future__ import annotations

from physlab.settings import KubernetesSiteSettings
from physlab.sites.kubernetes.launching import Launcher


def launch_pods(name: str, site: KubernetesSiteSettings) -> Launcher:
    """Return what starts the pods of a site through the server of the current Prefect settings."""
    from physlab.engine.kubernetes.launcher import PrefectLauncher

    return PrefectLauncher(name, site)
