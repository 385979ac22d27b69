"""The flow `validate-dag`."""

from typing import Any

from prefect import flow

from physlab.engine import conduct


@flow(name="validate-dag", log_prints=False, persist_result=False)
def validate_dag(dag: str | dict[str, Any], lab: str | None = None) -> dict[str, Any]:
    """Find every problem of a graph: cycles, parameters, references, units, caps, devices, visual outputs.

    Args:
        dag: A file (JSON or YAML), the id or title of a known graph, or the object itself.
        lab: Name of a saved `Local Lab` block; the worker's own settings when empty.

    Returns:
        dag_id, ok, warnings and problems (severity, node_id, code, message, hint).
    """
    return conduct.validate(dag, lab)
