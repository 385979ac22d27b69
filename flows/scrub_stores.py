"""The flow `scrub-stores`."""

from typing import Any

from prefect import flow

from physlab.engine import conduct


@flow(name="scrub-stores", log_prints=False, persist_result=False)
def scrub_stores(
    share: str = "1/30", stores: list[str] | None = None, repair: bool = False, lab: str | None = None
) -> dict[str, Any]:
    """Read a share of everything that is kept, here and in other stores, and name what is damaged.

    Args:
        share: How much; each run reads the part after the last one's. 1/30 every day reads all in a month.
        stores: Names of stores, "lab" for the lab itself; all when empty.
        repair: Make good what is damaged or missing, from a good copy.
        lab: Name of a saved `Local Lab` block; the worker's own settings when empty.

    Returns:
        ok, share, stores (files, size, damage of each), and repaired.
    """
    return conduct.scrub(share, stores, repair, lab)
