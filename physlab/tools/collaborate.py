"""`experiment_orchestrator.collaborate_share`: a graph with its runs, files, paper and notebook, shared as one bundle.

The lab answers it itself.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field

from physlab.tools.context import Context
from physlab.tools.orchestrator import FAMILY, NAMED
from physlab.tools.registry import Port, registry
from physlab.tools.sharing import RETURNS, People, ShareParams


class CollaborateParams(ShareParams):
    """A graph, with whom it is shared, and until when."""

    dag_id: str = Field(validation_alias=NAMED, description="The graph: its id, its title or a file; or a run.")
    access: str = Field(description="`read` or `write`, for whom no role is given.")
    participants: People = Field(min_length=1, description="Mail addresses or logins, or `{email, role}` each.")
    run_id: str | None = Field(None, description="One run of it; unset: all of the session.")
    session_id: str | None = Field(None, description="Whose runs and notebook; unset: that of the run, or the current.")
    report: bool = Field(True, description="Put the paper of the latest run in.")
    notebook: bool = Field(True, description="Put in what the notebook says of the runs.")


@registry.method(
    FAMILY,
    "collaborate_share",
    params=CollaborateParams,
    returns=(
        *RETURNS,
        Port("bundle", "object", description="`{sha256, size, path, runs, files, left_out}`: one file with all of it"),
        Port("session_id", "text", description="The session that it is of"),
    ),
    asks_lab=True,
    lasting=False,
    time_limit_s=None,
    kind="user",
)
def collaborate_share(params: CollaborateParams, context: Context) -> dict[str, Any]:
    """Share a graph with its runs, files, paper and notebook, as one signed file."""
    body = context.ask_lab("collaborate_share", params)
    context.meta.update(body.pop("meta", {}))
    return body
