"""The flow `run-node`."""

from typing import Any

from prefect import flow

from physlab.engine.kubernetes import inside


@flow(name="run-node", log_prints=False, persist_result=False, retries=0)
def run_node(order: str, store: str, endpoint: str | None = None) -> dict[str, Any]:
    """Run nodes of a graph in a pod; the lab that runs the graph starts this flow, people need not.

    Args:
        order: Digest of the order, which lies in the store with all that it needs.
        store: Where files travel through: s3://bucket/prefix, or a folder that is mounted.
        endpoint: URL of an S3-compatible service; Amazon's when empty.

    Returns:
        nodes, how many were run; what they gave is in the store.
    """
    return inside.run_node(order, store, endpoint)
