"""The flow `lab-notebook`."""

from typing import Any

from prefect import flow

from physlab.engine import conduct


@flow(name="lab-notebook", log_prints=False, persist_result=False)
def lab_notebook(
    title: str | None = None,
    notes_md: str = "",
    session_id: str | None = None,
    attach_artifacts: list[str] | None = None,
    sign_as: str = "anonymous",
    conclusions: str = "",
    tools_used: list[str] | None = None,
    tags: list[str] | None = None,
    runs: list[str] | None = None,
    entry: dict[str, Any] | None = None,
    lab: str | None = None,
) -> dict[str, Any]:
    """Write an entry into the lab notebook, linked to the runs it speaks of, and sign it.

    Args:
        title: Its title, of at most 200 letters.
        notes_md: What was done and seen, in Markdown with math.
        session_id: The session, and with it the notebook; collaboration.session when empty.
        attach_artifacts: Paths of files on the worker.
        sign_as: Who writes and signs it; anonymous signs nothing.
        conclusions: What follows, in Markdown with math.
        tools_used: Tools that were used.
        tags: Words to find it by.
        runs: Runs that it speaks of; ids, titles, or latest.
        entry: Instead of these, an object of title, content, tools_used, artifacts and conclusions.
        lab: Name of a saved `Local Lab` block; the worker's own settings when empty.

    Returns:
        entry_id, pdf_path, state, sources, and meta with the hash of the record.
    """
    given = locals()
    return conduct.answer("distributed_collaboration", "lab_notebook", given)
