"""The flow `review-access`."""

from typing import Any

from prefect import flow

from physlab.engine import reviews


@flow(name="review-access", log_prints=False, persist_result=False)
def review_access(unused_days: float = 90, lab: str | None = None, folder: str | None = None) -> dict[str, Any]:
    """List who may see what: every member and link of every session; warn of what nobody used for long.

    Args:
        unused_days: What nobody used for so long is warned of [d].
        lab: Name of a saved `Local Lab` block; the worker's own settings when empty.
        folder: Where the search for physlab.toml starts; the worker's own folder when empty.

    Returns:
        access: all of them, the longest unused first; unused: those that nobody used for so long.
    """
    return reviews.review(unused_days, lab, folder)
