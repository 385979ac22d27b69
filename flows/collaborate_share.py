"""The flow `collaborate-share`."""

from typing import Annotated, Any

from prefect import flow
from pydantic import Field

from physlab.engine import conduct


@flow(name="collaborate-share", log_prints=False, persist_result=False)
def collaborate_share(
    dag_id: str,
    access: str,
    participants: list[str | dict[str, str]],
    run_id: str | None = None,
    session_id: str | None = None,
    expires_in_hours: Annotated[float, Field(ge=1, le=8760)] | None = None,
    expires: str | None = None,
    label: str | None = None,
    report: bool = True,
    notebook: bool = True,
    dry_run: bool = False,
    lab: str | None = None,
) -> dict[str, Any]:
    """Share a graph with its runs, files, paper and notebook, as one signed file.

    Args:
        dag_id: The graph: its id, its title or a file.
        access: read or write, for whom no role is given.
        participants: Mail addresses or logins, or {email, role} each.
        run_id: One run of it; all of the session when empty.
        session_id: Whose runs and notebook; that of the run, or the lab's current one, when empty.
        expires_in_hours: It ends so long from now, 1 to 8760 [h]; 72 when empty.
        expires: Instead, when it ends, within a year: YYYY-MM-DDTHH:MM:SSZ.
        label: What the share is for.
        report: Put the paper of the latest run in.
        notebook: Put in what the notebook says of the runs.
        dry_run: Say what would be shared, and share nothing.
        lab: Name of a saved `Local Lab` block; the worker's own settings when empty.

    Returns:
        share_url, expires_at, participants and bundle.
    """
    given = locals()
    return conduct.answer("experiment_orchestrator", "collaborate_share", given)
