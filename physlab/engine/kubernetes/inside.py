"""The body of the flow `run-node`, in its pod."""

from __future__ import annotations

import gc
from multiprocessing import resource_tracker
from typing import Any

from prefect import get_run_logger, runtime

from physlab.errors import WorkerLostError
from physlab.settings import forget
from physlab.sites.kubernetes.exchange import Exchange
from physlab.sites.kubernetes.inside import perform, require_done

SECRETS = ("AWS_", "PREFECT_API_KEY", "PREFECT_API_AUTH", "PREFECT_CLIENT_CUSTOM_HEADERS")


def run_node(order: str, store: str, endpoint: str | None) -> dict[str, Any]:
    """Carry out `run_node`: once, whoever starts it again; other attempts are the lab's to decide.

    Raises:
        PhyslabError: The order cannot be read, a node came to nothing, or the flow run has begun before.
    """
    if runtime.flow_run.run_count > 1:
        raise WorkerLostError("This flow run has begun before and its pod was lost: the lab sends its nodes again.")
    log = get_run_logger()
    exchange = Exchange(store, endpoint)
    exchange.order(order)  # its client has read the credentials now: the programs that nodes run need not see them
    for prefix in SECRETS:
        forget(prefix)
    try:
        replies = perform(order, exchange, log.info)
    finally:
        _leave_nobody()
    require_done(replies)
    return {"nodes": len(replies)}


def _leave_nobody() -> None:
    """End the one process that Python leaves behind workers: in an image without an init nobody would take it away.

    Prefect, when it cancels, waits 30 s for the whole group of processes.
    """
    gc.collect()  # what the tracker tracks is let go of
    resource_tracker._resource_tracker._stop()  # type: ignore[attr-defined]
