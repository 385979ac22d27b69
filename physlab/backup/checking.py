"""Reading a repository again: all of it, or in turn a share, so that a bit that fell is found."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from physlab.backup import ledger
from physlab.backup.clock import Moment, now
from physlab.backup.engine import Engine, Tell
from physlab.backup.place import place_of
from physlab.backup.save import Clock, standing_of, standing_warnings
from physlab.errors import ConfigurationError
from physlab.settings import Settings
from physlab.store import Store


@dataclass
class Checked:
    """What reading a repository again found.

    Attributes:
        record: As the ledger has it.
        problems: Everything that is damaged or missing.
        warnings: What is odd.
    """

    record: dict[str, Any]
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def check_repository(
    store: Store,
    settings: Settings,
    engine: Engine,
    of: int = 1,
    *,
    tell: Tell = lambda words: None,
    clock: Clock = now,
    wait: bool = False,
) -> Checked:
    """Read a repository again and write down what came of it.

    Args:
        store: The lab's.
        settings: The lab's.
        engine: The repository.
        of: 1 reads all data; n reads one of n parts, the one whose turn it is.
        tell: Hears of progress.
        clock: Gives the time.
        wait: Wait for another backup, check or drill of this lab to end.

    Raises:
        ConfigurationError: There is no repository.
        ResourceError: It cannot be reached.
    """
    with place_of(settings).alone(wait=wait):
        repository = engine.identity()
        if repository is None:
            raise ConfigurationError(
                f"There is no repository at {engine.shown}.", hint="Mount it, or make it: physlab backup run"
            )
        part, started = next_part(ledger.checks_of(store, repository), of), time.monotonic()
        problems = engine.check(part, of, tell)
        standing = None if problems else standing_of(store, repository, engine.snapshots())
        if standing is not None and standing.gone:
            problems += [f"snapshot {point.snapshot[:8]} of this lab's list is gone" for point in standing.gone]
        record = {
            "repository": engine.shown, "repository_id": repository, "part": part, "of": of, "problems": problems,
            "snapshots": len(standing.present) if standing else None, **_time(clock()),
            "duration_s": round(time.monotonic() - started, 3),
        }  # fmt: skip
        ledger.write_down(store, ledger.CHECKED, record)
    warnings = standing_warnings(standing) if standing else []
    return Checked(record, problems, [words for words in warnings if "gone" not in words])


def _time(moment: Moment) -> dict[str, Any]:
    return {"checked_at": moment.wall.isoformat()}


def next_part(checks: list[dict[str, Any]], of: int) -> int:
    """Return the part whose turn it is: the one after that which was read last."""
    last = next((record["part"] for record in reversed(checks) if record["of"] == of), 0)
    return int(last) % of + 1


def proof_of(checks: list[dict[str, Any]]) -> dict[str, Any]:
    """Say how far a repository is proven: by a reading of all data, or by shares since.

    Returns:
        `all`: when all data was last read at one time; `share`: the last part, as `7/30`; `parts`: how many different
        parts the last readings of that kind covered; `at`: the last reading; `problems`: what it found.
    """
    whole = next((record for record in reversed(checks) if record["of"] == 1), None)
    last = checks[-1] if checks else None
    found: dict[str, Any] = {
        "all": whole and whole["checked_at"],
        "share": None,
        "parts": 0,
        "at": None,
        "problems": [],
    }
    if last is not None:
        found |= {"at": last["checked_at"], "problems": last["problems"]}
        if last["of"] > 1:
            same = [record["part"] for record in checks if record["of"] == last["of"]][-last["of"] :]
            found |= {"share": f"{last['part']}/{last['of']}", "parts": len(set(same))}
    return found
