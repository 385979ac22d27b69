"""The audit log for whoever has the lab's files: searched, verified, exported, witnessed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from physlab.collab.audit.checkpoints import Checkpoint, kept_checkpoints, lab_key, make_checkpoint, read_checkpoint
from physlab.collab.audit.export import export_log, verify_export
from physlab.collab.audit.verification import Verified, rows_of, verify_log
from physlab.collab.audit.witness import prove
from physlab.collab.audit.witnessing import witness
from physlab.collab.commons import Commons
from physlab.collab.database import MICRO, written
from physlab.errors import ValidationError
from physlab.service.sharing.share import find_person
from physlab.signing import PublicKey

_PERSON = re.compile(r"[0-9a-f]{32}")
_AGO = re.compile(r"(\d{1,6})([mhdw])")
_SECONDS = {"m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def read_since(text: str, now: int) -> int:
    """Return the moment that `2h`, `7d` or `2027-01-31T12:00` means, in UTC.

    Raises:
        ValidationError: It means none.
    """
    if found := _AGO.fullmatch(text):
        return now - int(found[1]) * _SECONDS[found[2]] * MICRO
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ValidationError(f"'{text}' is no time.", hint="Such as: --since 7d, --since 2027-01-31T12:00Z") from error
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return int(moment.timestamp() * MICRO)


def search_log(
    commons: Commons, *, session: str | None = None, person: str | None = None, action: str | None = None,
    what: str | None = None, since: str | None = None, limit: int = 100,
) -> list[dict[str, Any]]:  # fmt: skip
    """Return entries of the log, the newest last.

    Args:
        commons: The lab's people and sessions.
        session: Only of this session.
        person: Only by them: a mail address, a login, an id, `link:ID`, `lab`.
        action: Only this one, such as `artifact.read`; `link.` means all that begin so.
        what: Only with this: `sha256:…`, a run, a link's id.
        since: Not before, such as `7d` or a time.
        limit: At most so many.
    """
    who = None if person is None else _who(commons, person)
    bare = None if what is None else what.removeprefix("sha256:")
    begun = None if since is None else read_since(since, commons.now)
    found = commons.trail.read(session=session, who=who, action=action, thing=bare, since=begun, limit=limit)
    people = {one["who"] for one in found if _PERSON.fullmatch(one["who"])}
    names = commons.accounts.names_of(people)
    return [
        {"seq": one["seq"], "at": written(one["at"]), "who": one["who"], "name": names.get(one["who"], one["who"]),
         "action": one["action"], "session_id": one["session"], "object": one["object"], "told": one["told"]}
        for one in reversed(found)
    ]  # fmt: skip


def _who(commons: Commons, person: str) -> str:
    plain = person.startswith("link:") or person in ("lab", "-") or _PERSON.fullmatch(person)
    found = person if plain else find_person(commons, person)
    if found is None:
        raise ValidationError(f"The lab knows no '{person}'.", hint="See: physlab people list")
    return found


def verify_lab(commons: Commons) -> tuple[Verified, int]:
    """Verify the lab's own log; return what was verified, and how many entries no checkpoint covers yet.

    Raises:
        ValidationError: It does not hold; the message names the first entry.
    """
    public = lab_key(commons.database).public
    kept = [read_checkpoint(path.read_text(), public) for path in kept_checkpoints(commons.database)]
    checked = verify_log(rows_of(commons.database), kept)
    return checked, checked.size - max((one.size for one in kept), default=0)


def export_to(commons: Commons, folder: Path, session: str | None) -> Verified:
    """Write the log to a new folder that anybody verifies without the lab."""
    return export_log(commons.database, folder, session)


def verify_folder(folder: Path, key: PublicKey | None) -> Verified:
    """Verify an exported log; no lab is needed."""
    return verify_export(folder, key)


def sign_checkpoint(commons: Commons) -> Checkpoint:
    """Sign what the log is now."""
    return make_checkpoint(commons.database)


def prove_growth(commons: Commons, old: Path, new: Path) -> dict[str, Any]:
    """Return the proof that the log of one checkpoint is the beginning of that of another.

    Raises:
        ValidationError: One of them is none of this lab, or the log is shorter.
    """
    public = lab_key(commons.database).public
    one, other = (read_checkpoint(_text(path), public) for path in (old, new))
    return {"old": one.size, "new": other.size, "proof": prove(commons.database, one, other)}


def countersign_checkpoint(commons: Commons, checkpoint: Path, key: PublicKey, proof: Path | None) -> tuple[int, str]:
    """Countersign a checkpoint of another lab; return how many entries it has, and the signature.

    Raises:
        ValidationError: That lab did not sign it, or its log does not extend what was countersigned before.
    """
    new = read_checkpoint(_text(checkpoint), key)
    return new.size, witness(commons.database, key, new, () if proof is None else _proof(proof))


def _proof(path: Path) -> Sequence[str]:
    try:
        found = orjson.loads(_text(path))["proof"]
        if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
            raise TypeError("proof")
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise ValidationError(f"'{path}' is no proof.", hint="Ask that lab: physlab audit prove OLD NEW") from error
    return found


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ValidationError(f"'{path}' cannot be read: {error}.", hint="Name a file that is there.") from error
