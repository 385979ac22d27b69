"""The access review on Prefect: who may see what, as a table of the UI, and a warning for each access nobody uses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prefect import get_run_logger
from prefect.artifacts import create_table_artifact

from physlab.engine.blocks import settings_from_block
from physlab.lab import Lab
from physlab.service.sharing.review import review_access
from physlab.settings import load_settings


def review(unused_days: float, lab: str | None, folder: str | None) -> dict[str, Any]:
    """Carry out `review_access`."""
    cwd = Path(folder) if folder else None
    with Lab(settings_from_block(lab, cwd) if lab else load_settings(cwd)) as opened:
        found = review_access(opened)
    unused = [one for one in found if one["unused_days"] >= unused_days]
    create_table_artifact(
        [{name: one[name] or "-" for name in one} for one in found] or [{"session_id": "nothing is shared"}],
        key="access-review", description=f"Who may see what; {len(unused)} unused for {unused_days:g} days",
    )  # fmt: skip
    log = get_run_logger()
    for one in unused:
        last = one["last_used"] or f"never, since {one['since']}"
        log.warning(
            "%s of session %s (%s) was last used: %s. To end it: physlab session revoke", one["who"], one["session_id"],
            one["role"], last,
        )  # fmt: skip
    return {"access": found, "unused": unused}
