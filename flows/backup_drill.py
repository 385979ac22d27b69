"""The flow `backup-drill`."""

from typing import Any

from prefect import flow

from physlab.engine import backups


@flow(name="backup-drill", log_prints=False, persist_result=False)
def backup_drill(lab: str | None = None, folder: str | None = None) -> dict[str, Any]:
    """Restore the newest backup into an empty place, compare every hash with the lab, run again there, remove it.

    Args:
        lab: Name of a saved `Local Lab` block; the worker's own settings when empty.
        folder: Where the search for physlab.toml starts; the worker's own folder when empty.

    Returns:
        title, ok, snapshot, measured.
    """
    return backups.drill(lab, folder)
