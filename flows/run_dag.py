"""The flow `run-dag`."""

from typing import Annotated, Any, Literal

from prefect import flow
from pydantic import Field

from physlab.engine import conduct


@flow(name="run-dag", log_prints=False, persist_result=False)
def run_dag(
    dag: str | dict[str, Any],
    parallelism: Annotated[int, Field(ge=1, le=16)] | None = None,
    offload_policy: Literal["local_first", "remote_first", "auto"] | None = None,
    site: str | None = None,
    refresh: bool | list[str] = False,
    fail_fast: bool | None = None,
    session: str | None = None,
    lab: str | None = None,
    run_id: str | None = None,
) -> dict[str, Any]:
    """Run a graph: every node a task run, cached by content, with complete provenance.

    Args:
        dag: A file (JSON or YAML), the id or title of a known graph, or the object itself.
        parallelism: Nodes at once, 1 to 16; the lab's default when empty.
        offload_policy: Where nodes go; the lab's default when empty.
        site: The cluster to use, or local for none; all that the lab describes when empty.
        refresh: Run again although results are there: true for all nodes, or a list of node ids.
        fail_fast: Stop at the first failed node instead of finishing independent branches.
        session: The session that the run belongs to; the lab's current one when empty.
        lab: Name of a saved `Local Lab` block; the worker's own settings when empty.
        run_id: Name of the run; made from the time when empty.

    Returns:
        run_id, status, artifacts, reportable, meta, nodes, files.
    """
    wishes = {"offload_policy": offload_policy, "site": site, "fail_fast": fail_fast, "session": session}
    return conduct.run(dag, lab, run_id, parallelism=parallelism, refresh=refresh, **wishes)
