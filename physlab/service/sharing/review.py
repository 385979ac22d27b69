"""The access review: who has what, since when, and when it was last used."""

from __future__ import annotations

from typing import Any

from physlab.collab.access import Who
from physlab.collab.audit import Event
from physlab.collab.commons import Commons
from physlab.collab.database import MICRO, written
from physlab.errors import ValidationError
from physlab.lab import Lab
from physlab.service.sharing.commons import commons_of, local_who


def review_access(lab: Lab, unused_days: float = 0) -> list[dict[str, Any]]:
    """Return every access that works now, the longest unused first; that it was looked at is in the audit log.

    Args:
        lab: The lab.
        unused_days: Only those that nobody used for so long [d].

    Raises:
        ValidationError: The time is negative.
    """
    if not 0 <= unused_days < 36500:
        raise ValidationError(f"{unused_days:g} is no time in days.", hint="Give 0 or more: --unused-days 90")
    with commons_of(lab) as commons:
        who = local_who(lab, commons)
        found = [one for one in accesses(commons, who) if one["unused_days"] >= unused_days]
        commons.trail.note(Event(who.name, "access.review", told={"accesses": len(found), "unused_days": unused_days}))
    return found


def accesses(commons: Commons, who: Who) -> list[dict[str, Any]]:
    """Return every access to the sessions that somebody administers, the longest unused first.

    `unused_days` counts from the last use, or from when the access was given where it was never used.
    """
    found: list[tuple[int, dict[str, Any]]] = []
    for session, role in commons.sessions.of(who).items():
        if role not in ("admin", "owner"):
            continue
        members = commons.sessions.members(who, session)
        names = commons.accounts.names_of([one.person for one in members])
        for one in members:
            if one.now is not None:
                told = {"session_id": session, "who": names[one.person], "role": one.now, "since": written(one.since),
                        "expires_at": written(one.expires_at), "last_used": written(one.used_at)}  # fmt: skip
                found.append((one.used_at or one.since, told))
        for link in commons.links.listed(who, session):
            if link.now is not None:
                who_has = f"link {link.id[:12]} {link.mail or link.label}".strip()
                told = {"session_id": session, "who": who_has, "role": link.now,
                        "since": written(link.created_at), "expires_at": written(link.expires_at),
                        "last_used": written(link.used_at)}  # fmt: skip
                found.append((link.used_at or link.created_at, told))
    day = 86400 * MICRO
    return [
        told | {"unused_days": round(max(0, commons.now - used) / day, 2)}
        for used, told in sorted(found, key=lambda item: item[0])
    ]
