"""The access review: who has what, since when, and when it was last used."""

from __future__ import annotations

from typing import Any

from physlab.collab.access import Who
from physlab.collab.commons import Commons
from physlab.collab.database import written
from physlab.lab import Lab
from physlab.service.sharing.commons import commons_of, local_who


def review_access(lab: Lab) -> list[dict[str, Any]]:
    """Return every access that works now, the longest unused first."""
    with commons_of(lab) as commons:
        return accesses(commons, local_who(lab, commons))


def accesses(commons: Commons, who: Who) -> list[dict[str, Any]]:
    """Return every access to the sessions that somebody administers, the longest unused first."""
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
    return [told for _, told in sorted(found, key=lambda item: item[0])]
