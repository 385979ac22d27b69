"""The flow `daily-backup`."""

from typing import Any

from prefect import flow

from physlab.engine import backups


@flow(name="daily-backup", log_prints=False, persist_result=False)
def daily_backup(
    limit: str | None = None, share: str | None = None, lab: str | None = None, folder: str | None = None
) -> dict[str, Any]:
    """Back the lab up, and read a share of the repository again, so that in a month all of it was read.

    Args:
        limit: At most so many bytes a second, such as 5MB/s; the lab's setting when empty.
        share: The part to read again, such as 1/30, in turn; 1/1 for all; the lab's setting when empty.
        lab: Name of a saved `Local Lab` block; the worker's own settings when empty.
        folder: Where the search for physlab.toml starts; the worker's own folder when empty.

    Returns:
        snapshot, repository, files, size, added, duration_s, forgotten, warnings, verified.
    """
    return backups.back_up(limit, share, lab, folder)
