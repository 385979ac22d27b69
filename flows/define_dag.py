"""The flow `define-dag`."""

from typing import Any

from prefect import flow

from physlab.engine import conduct


@flow(name="define-dag", log_prints=False, persist_result=False)
def define_dag(
    spec: str | dict[str, Any] | None = None,
    natural_language: str | None = None,
    lab: str | None = None,
) -> dict[str, Any]:
    """Read a graph of tool calls, store it under its content-addressed id, validate it and draw it.

    Args:
        spec: The graph: a file (JSON or YAML), the id or title of a known one, or the object itself.
        natural_language: A sentence instead, for instance "hydrogen 2p state with animation".
        lab: Name of a saved `Local Lab` block; the worker's own settings when empty.

    Returns:
        dag_id, validated, nodes, edges, ui_overview_png_b64, warnings.
    """
    return conduct.define(spec, natural_language, lab)
