"""The drill: a backup is restored into an empty place and held, hash by hash, against the lab as it was."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from physlab import backup
from physlab.backup.engine import Tell
from physlab.backup.place import place_of
from physlab.backup.restore import LATEST
from physlab.errors import PhyslabError
from physlab.lab import CALL, Lab, NamedDag
from physlab.model import RunRecord
from physlab.service.backup import FAILED, Report, announce, kept_settings, silent, unheard
from physlab.service.graphs import Conductor, carry_out
from physlab.settings import Settings
from physlab.store import Store


@dataclass
class Findings:
    """What a drill found.

    Attributes:
        problems: Everything that is not as it was.
        figures: Numbers, by name.
        notes: What else to know.
    """

    problems: list[str] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def drill_backup(
    lab: Lab, snapshot: str = LATEST, *, tell: Tell = silent, report: Report = unheard, wait: bool = False
) -> dict[str, Any]:
    """Restore a backup, compare every hash with the lab, run what is warm there again, and write down what came of it.

    Args:
        lab: The lab.
        snapshot: Which backup; the newest on the lab's list by default.
        tell: Hears of progress.
        report: Hears when it failed.
        wait: Wait for another backup, check or drill of this lab to end.

    Returns:
        The record: title, text (Markdown), figures, attachments, ok, problems.

    Raises:
        PhyslabError: The backup could not be restored at all; who is to be notified has been.
    """
    settings, started, found = kept_settings(lab), time.monotonic(), Findings()
    engine = backup.choose_engine(settings)
    place = place_of(settings)
    try:
        with place.alone(wait=wait):
            whole, found.notes = backup.find_snapshot(lab.store, engine, snapshot)
            home = place.drills / "lab"
            restored = backup.bring(engine, whole, home, tell=tell)
            found.problems += restored.problems
            found.figures |= {"files": restored.blobs, "records": restored.records}
            found.figures["restore_s"] = round(time.monotonic() - started, 3)
            tell("comparing every hash with the lab")
            _compare(lab.store, home, restored.manifest["journal"], found)
            _run_again(lab, settings, home, restored.records, found, tell)
    except PhyslabError as error:
        announce(settings, report, FAILED, f"The restore drill failed. {error.message}", error.as_reply())
        raise
    found.figures["drill_s"] = round(time.monotonic() - started, 3)
    record = _record(lab, whole, engine.shown, found)
    backup.write_down(lab.store, backup.DRILL, record)
    if found.problems:
        announce(
            settings, report, FAILED, f"The restore drill found: {found.problems[0]}.", {"problems": found.problems}
        )
    return record


def _compare(live: Store, home: Path, end: dict[str, Any], found: Findings) -> None:
    """Hold the restored journal against the lab's byte by byte, and every restored file against the lab's."""
    for number in range(1, end["segment"] + 1):
        ours, theirs = live.journal.file(number), home / "store" / "journal" / live.journal.file(number).name
        size = end["bytes"] if number == end["segment"] else ours.stat().st_size
        if not _same_start(ours, theirs, size):
            found.problems.append(f"{theirs.name} differs from the lab's journal as of the backup")
    objects = home / "store" / "objects"
    equal = missing = 0
    for folder in sorted(objects.iterdir()) if objects.is_dir() else []:
        for path in folder.iterdir():
            digest = folder.name + path.name  # that the restored bytes are those of their name was checked before
            if not live.blobs.path(digest).exists():
                missing += 1
            elif live.blobs.intact(digest):
                equal += 1
            else:
                found.problems.append(f"the lab's own sha256:{digest} is damaged; the backup has it whole")
    found.figures |= {"equal": equal, "removed_since": missing}


def _same_start(ours: Path, theirs: Path, size: int) -> bool:
    """Say whether a restored file is the beginning of ours, of so many bytes."""
    if not theirs.exists() or theirs.stat().st_size != size:
        return False
    with open(ours, "rb") as left, open(theirs, "rb") as right:
        while chunk := right.read(1 << 20):
            if left.read(len(chunk)) != chunk:
                return False
    return True


def _run_again(lab: Lab, settings: Settings, home: Path, until: int, found: Findings, tell: Tell) -> None:
    """Run the latest run that is still warm in the lab again, in the restored one: every node must be a hit."""
    warm = _warm_run(lab, until)
    if warm is None:
        found.notes.append("no run is warm: none was run again")
        return
    tell(f"running '{warm.title or warm.dag_id}' again there")
    restored = settings.model_copy(update={"home": home, "results": home / "results"})
    restored = restored.model_copy(update={"store": restored.store.model_copy(update={"index_url": None})})
    with Lab(restored) as other:
        try:
            named = other.find_dag(warm.dag_id)
        except PhyslabError as error:
            found.problems.append(f"the graph of run {warm.run_id} is not there: {error.message}")
            return
        record = carry_out(other, named, restored.run.request(site="local"), Conductor())
    cached = sum(node.status == "cached" for node in record.nodes)
    found.figures |= {"run": warm.run_id, "nodes": len(record.nodes), "cached": cached}
    if cached != len(record.nodes):
        found.problems.append(f"run {warm.run_id}: {cached} of {len(record.nodes)} nodes came from the cache there")


def _warm_run(lab: Lab, until: int) -> RunRecord | None:
    """Return the latest run up to a record of the journal of which every node would come from the lab's cache now."""
    for row in [row for row in lab.runs() if row["status"] == "completed" and row["seq"] <= until][:5]:
        if row["title"].startswith(CALL):
            continue
        record = lab.find_run(row["run_id"])
        if _is_warm(lab, record.dag_id):
            return record
    return None


def _is_warm(lab: Lab, dag_id: str) -> bool:
    try:
        named: NamedDag = lab.find_dag(dag_id)
        checked = lab.check(named)
        plan = lab.plan(checked, request=lab.settings.run.request(site="local"))
    except PhyslabError:  # code or files it needs are no longer there
        return False
    return bool(plan.nodes) and plan.count("hit") == len(plan.nodes)


def _record(lab: Lab, snapshot: str, repository: str, found: Findings) -> dict[str, Any]:
    """Return the drill as the ledger and a notebook keep it."""
    at = datetime.now(UTC)
    ok = not found.problems
    facts = {"snapshot": snapshot, "repository": repository, "at": at.isoformat(timespec="seconds"), "ok": ok}
    content = {**facts, "figures": found.figures, "problems": found.problems, "notes": found.notes}
    name = f"drill-{at:%Y%m%d-%H%M%S}.json"
    digest, size = lab.store.blobs.put((json.dumps(content, indent=1, sort_keys=True) + "\n").encode())
    return {
        "title": f"Restore drill of {at:%Y-%m-%d}: {'passed' if ok else 'FAILED'}",
        "text": _text(snapshot, repository, found),
        "figures": [],
        "attachments": [{"name": name, "sha256": digest, "size": size, "media_type": "application/json"}],
        "measured": found.figures,
        **facts,
        "problems": found.problems,
    }


def _text(snapshot: str, repository: str, found: Findings) -> str:
    """Return the drill in Markdown."""
    made = found.figures
    lines = [
        f"Snapshot `{snapshot[:8]}` of `{repository}` was restored into an empty folder and held against the lab.",
        "",
        "| what | value |",
        "|---|---|",
        f"| files, each with the SHA-256 of its name | {made.get('files', 0)} |",
        f"| of these equal to the lab's own now | {made.get('equal', 0)} |",
        f"| removed from the lab since | {made.get('removed_since', 0)} |",
        f"| records of the journal, byte for byte the lab's | {made.get('records', 0)} |",
    ]
    if "run" in made:
        lines.append(f"| run {made['run']} there again, from the cache | {made['cached']} of {made['nodes']} nodes |")
    lines += [f"| restored and checked in | {made.get('restore_s', 0):.1f} s |", ""]
    lines += [f"- **Problem:** {words}" for words in found.problems] or ["Nothing differs."]
    return "\n".join([*lines, *(f"- Note: {words}" for words in found.notes)]) + "\n"
