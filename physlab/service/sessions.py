"""A session: some runs of the lab, and the report on them."""

from __future__ import annotations

import re
from typing import Any

from physlab.errors import ValidationError, nearest
from physlab.lab import Lab, slug
from physlab.model import RunRecord
from physlab.report.contents import read_contents
from physlab.report.markdown import write_session

MOST = 500  # runs in one report


def find_session(lab: Lab, name: str) -> list[RunRecord]:
    """Return the finished runs of a session, oldest first.

    Args:
        lab: The lab.
        name: A run (or the beginning of its id), `latest`, the id or title of a graph, a day (UTC), or `lab`.

    Raises:
        ValidationError: There is none, or there are too many to tell of.
    """
    rows = [row for row in lab.runs() if row["status"] not in ("running", "interrupted")]
    if re.fullmatch(r"\d{4}-\d\d-\d\d", name):
        found = [row for row in rows if str(row["started_at"]).startswith(name)]
    elif name == "lab":
        found = rows
    else:
        found = [
            row for row in rows if name in (row["dag_id"], row["title"]) or slug(row["title"]) == (slug(name) or 0)
        ]
    if not found and not re.fullmatch(r"\d{4}-\d\d-\d\d|lab", name):
        return [lab.find_run(name)]
    if not found:
        days = sorted({str(row["started_at"])[:10] for row in rows})
        raise ValidationError(
            f"There is no finished run for the session '{name}'.",
            hint=nearest(name, days) if days else "Nothing was run yet.",
        )
    if len(found) > MOST:
        raise ValidationError(
            f"The session '{name}' has {len(found)} runs; a report tells of {MOST}.",
            hint="Name a day, a graph or a run.",
        )
    return [RunRecord.model_validate(lab.store.record(row["digest"])) for row in reversed(found)]


def report_session(lab: Lab, *, session_id: str, title: str, author: str, include: list[str]) -> dict[str, Any]:
    """Return the report on a session: its Markdown, the files that it shows, and its runs."""
    runs = find_session(lab, session_id)
    held = [(run, read_contents(run, lab.store)) for run in runs]
    made = write_session(held, title=title, author=author, include=include)
    return {
        "markdown": "\n".join(made.lines).rstrip() + "\n",
        "files": {path: str(lab.store.blobs.path(digest)) for path, digest in made.files.items()},
        "runs": [run.run_id for run in runs],
    }
