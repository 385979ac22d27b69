"""`store replicas`: how many copies there are of each file."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated

import typer

from physlab.cli.options import Json
from physlab.cli.output import counted, table, voice

if TYPE_CHECKING:
    from rich.table import Table

    from physlab.transfer.replicas import Survey

Limit = Annotated[int, typer.Option("--limit", "-n", min=1, help="List at most so many incomplete files.")]


def replicas(limit: Limit = 20, json: Json = False) -> int:
    """Say in which stores each file is, and which copies are missing; exit code 1 when some are."""
    from physlab.lab import Lab
    from physlab.service.replicas import survey_replicas
    from physlab.settings import load_settings

    with Lab(load_settings()) as lab:
        found = survey_replicas(lab)
    incomplete = found.incomplete
    if voice.as_json:
        voice.reply(
            {"ok": not incomplete, "copies": found.copies, "stores": list(found.stores), "files": len(found.where),
             "incomplete": {digest: {"missing": count, "in": sorted(found.where[digest])}
                            for digest, count in incomplete.items()}, "held": dict(found.held)}
        )  # fmt: skip
        return 1 if incomplete else 0
    voice.say(_stores(found), "")
    if incomplete:
        rows = [
            [digest, ", ".join(sorted(found.where[digest])) or "nowhere", str(count)]
            for digest, count in list(incomplete.items())[:limit]
        ]
        voice.say(table(("file", "is in", "copies missing"), rows, right=("copies missing",)), "")
        voice.say(f"{counted(len(incomplete), 'file')} of {len(found.where):,}: copies are missing.")
        voice.next("physlab store repair")
        return 1
    free = sum(digest not in found.held for digest in found.where)
    times = "once" if found.copies == 1 else f"{found.copies} times"
    voice.say(f"[green]✓[/green] {counted(free, 'file')}, each in the lab and at least {times} elsewhere.")
    if free < len(found.where):
        voice.note(
            f"{counted(len(found.where) - free, 'file')} may not leave the lab, so there is no other copy to have."
        )
    voice.next("physlab store scrub")
    return 0


def _stores(found: Survey) -> Table:
    """Return how many files each store has, lacks, and is not to have."""
    counts = Counter(name for there in found.where.values() for name in there)
    kept = {name: sum(name not in found.where[digest] for digest in found.held) for name in found.stores}
    rows = [
        [
            name,
            f"{counts[name]:,}",
            f"{len(found.where) - counts[name] - kept.get(name, 0):,}",
            f"{kept.get(name, 0):,}",
        ]
        for name in ("lab", *found.stores)
    ]
    return table(("store", "files", "not there", "may not leave"), rows, right=("files", "not there", "may not leave"))
