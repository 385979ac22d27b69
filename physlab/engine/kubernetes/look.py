"""Looking closer at a pod that came to nothing: at the cluster where it may be read, else at what Prefect was told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
from prefect.client.schemas.filters import LogFilter
from prefect.client.schemas.objects import FlowRun
from prefect.exceptions import PrefectException

from physlab.engine.kubernetes.endings import Seen, ended_by
from physlab.settings import KubernetesSiteSettings

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient

ERROR = 40
LINES = 12


def look_closer(client: SyncPrefectClient, site: KubernetesSiteSettings, run: FlowRun) -> Seen:
    """Return why a pod came to nothing, or does not begin."""
    return _from_logs(client, run)


def _from_logs(client: SyncPrefectClient, run: FlowRun) -> Seen:
    """Return what the worker's observer wrote: its diagnosis, or the last lines of the container."""
    asked = LogFilter.model_validate({"flow_run_id": {"any_": [run.id]}, "level": {"ge_": ERROR}})
    try:
        logs = client.read_logs(asked, limit=200)
    except (httpx.HTTPError, PrefectException):
        return Seen()
    lines = [line.message for line in logs if line.name.endswith("observer")]
    text = " ".join(" ".join(lines[-LINES:]).split())
    return Seen(text[-600:], ended_by(text))
