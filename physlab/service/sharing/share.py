"""`session_share`: a session shared with people, and what follows from it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from physlab.collab.access import Who, authorize
from physlab.collab.commons import FOLDER, SERVED, Commons
from physlab.collab.database import MICRO, written
from physlab.collab.links import PREFIX, check_end
from physlab.collab.roles import ROLES, may, read_role
from physlab.errors import ValidationError, nearest
from physlab.settings import Settings

_MAIL = re.compile(r"[^@\s]{1,64}@[^@\s]{1,189}")


@dataclass(frozen=True)
class Asked:
    """A call, as far as it is understood.

    Attributes:
        commons: The lab's people and sessions.
        settings: The lab's.
        who: Who asks.
        session: Name of the session.
        params: The rest of the call.
        bundle: What alone of the session is shared; None: all of it.
    """

    commons: Commons
    settings: Settings
    who: Who
    session: str
    params: Mapping[str, Any]
    bundle: Mapping[str, Any] | None = None


def share_session(
    commons: Commons, settings: Settings, who: Who, params: Mapping[str, Any], bundle: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Answer a call of `session_share` for somebody.

    Args:
        commons: The lab's people and sessions.
        settings: The lab's.
        who: Who asks.
        params: As `SessionShareParams` has them.
        bundle: What alone the links show; None: all of the session.

    Raises:
        ValidationError: The call is wrong; nothing was shared.
        AccessError: Who asks may not do that.
    """
    session = params.get("session_id") or settings.collaboration.session
    return _OPERATIONS[params.get("operation") or "share"](Asked(commons, settings, who, session, params, bundle))


def end_of(params: Mapping[str, Any], settings: Settings, now: int) -> int:
    """Return when a share ends [microseconds].

    Raises:
        ValidationError: It is no time, it is over, or too far away.
    """
    if params.get("expires") is not None:
        given = str(params["expires"])
        try:
            moment = datetime.fromisoformat(given)
        except ValueError as error:
            raise ValidationError(
                f"expires = '{given}' is no time.",
                hint="Write it as YYYY-MM-DD (the end of that day, in UTC) or YYYY-MM-DDTHH:MM:SSZ, or give "
                "expires_in_hours.",
            ) from error
        if "T" not in given and " " not in given:
            moment = moment.replace(hour=23, minute=59, second=59)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        end = int(moment.timestamp() * MICRO)
    else:
        hours = params.get("expires_in_hours") or settings.collaboration.share_expires_h
        end = now + int(float(hours) * 3600 * MICRO)
    check_end(end, now)
    return end


def served_at(settings: Settings) -> str:
    """Return the address that links begin with: that of the settings, or where the lab is being served now."""
    path = settings.home / FOLDER / SERVED
    if settings.portal.url is None and path.exists():
        return path.read_text(encoding="utf-8").strip()
    return settings.portal.address


def join_address(settings: Settings, token: str) -> str:
    """Return the address of a link; its secret stands behind the `#`, which no server is ever sent."""
    return f"{served_at(settings)}/#/join/{token}"


def session_address(settings: Settings, session: str) -> str:
    """Return the address of a session, for those who may see it."""
    return f"{served_at(settings)}/#/sessions/{quote(session, safe='')}"


def _share(asked: Asked) -> dict[str, Any]:
    commons, params = asked.commons, asked.params
    end = end_of(params, asked.settings, commons.now)
    access = read_role(params.get("access") or "read")
    wanted = [
        (one["email"].strip(), read_role(one["role"]) if one.get("role") else access)
        for one in params.get("participants") or ()
    ]
    known = {name: find_person(commons, name) for name, _ in wanted}
    strange = [name for name, person in known.items() if person is None and not _MAIL.fullmatch(name)]
    if strange:
        raise ValidationError(
            f"'{strange[0]}' is neither a mail address nor the login of a person here.", hint="See: physlab people list"
        )
    features = dict.fromkeys(params.get("features") or ("live_cursor", "voice_chat", "screen_sharing"), False)
    warnings = ["Live editing is not part of this version: everybody sees what is stored, not what is being typed."]
    reply: dict[str, Any] = {
        "session_id": asked.session, "expires_at": written(end),
        **({"features": features} if params.get("real_time") or params.get("features") else {}),
        "meta": {"warnings": warnings if params.get("real_time") or params.get("features") else []},
    }  # fmt: skip
    if params.get("dry_run"):
        reply["meta"]["warnings"] += _unknown(asked)
        joins = {name for name, person in known.items() if person is not None and asked.bundle is None}
        told = [{"email": name, "role": role, "state": f"would be {'member' if name in joins else 'invited'}"}
                for name, role in wanted]  # fmt: skip
        return {**reply, "share_url": session_address(asked.settings, asked.session), "participants": told}
    reply["meta"]["warnings"] += _unknown(asked)
    commons.own(asked.who, asked.session, params.get("title") or "")
    if not wanted:
        label = params.get("label") or ""
        made, token = commons.links.make(asked.who, asked.session, access, end, label, bundle=asked.bundle)
        address = join_address(asked.settings, token)
        return {**reply, "share_url": address, "link_id": made, "participants": []}
    with commons.database.reading() as connection:
        admits = may(authorize(connection, asked.who, "link.make", asked.session, commons.now), "member.change")
    admits = admits and asked.bundle is None  # who gets a bundle becomes no member of all of the session
    people = [_let_in(asked, name, role, known[name] if admits else None, end) for name, role in wanted]
    urls = [one["share_url"] for one in people if "share_url" in one]
    alone = urls[0] if len(people) == 1 and urls else session_address(asked.settings, asked.session)
    return {**reply, "share_url": alone, "participants": people}


def _unknown(asked: Asked) -> list[str]:
    """Return a warning for a session that nothing was done in yet: its name may be mistyped."""
    contents = asked.commons.contents
    contents.catch_up()
    if asked.session == asked.settings.collaboration.session:
        return []
    if contents.knows(asked.session) or asked.session in asked.commons.sessions.of(asked.who):
        return []
    known = contents.sessions()
    near = f" {nearest(asked.session, known)}" if known else ""
    return [f"The session '{asked.session}' has no run and no file yet.{near}"]


def _let_in(asked: Asked, name: str, role: str, person: str | None, end: int) -> dict[str, Any]:
    """Make somebody a member whom the lab knows; give a link for everybody else, or when who asks admits nobody."""
    commons = asked.commons
    if person is None:
        label = asked.params.get("label") or "invitation"
        made, token = commons.links.make(asked.who, asked.session, role, end, label, mail=name, bundle=asked.bundle)
        return {"email": name, "role": role, "state": "invited", "link_id": made,
                "share_url": join_address(asked.settings, token)}  # fmt: skip
    if person != asked.who.person:
        commons.sessions.admit(asked.who, asked.session, person, role, end)
    return {"email": name, "role": role, "state": "member"}


def find_person(commons: Commons, name: str) -> str | None:
    """Return the id of an active person by mail address, login or id; None when the lab does not know them."""
    found = commons.accounts.search(name)
    return found.id if found is not None and found.state == "active" else None


def _join(asked: Asked) -> dict[str, Any]:
    token = str(asked.params.get("link") or "").rpartition("/")[2]
    if not token.startswith(PREFIX):
        raise ValidationError("join needs the link's address.", hint="It ends in …/#/join/pll_…")
    session, role = asked.commons.links.join(asked.who, token, asked.params.get("mail"))
    return {"session_id": session, "share_url": session_address(asked.settings, session), "expires_at": None,
            "participants": [], "members": [{"person": asked.who.person, "role": role}]}  # fmt: skip


def _leave(asked: Asked) -> dict[str, Any]:
    asked.commons.sessions.leave(asked.who, asked.session)
    return _said(asked)


def _list(asked: Asked) -> dict[str, Any]:
    commons = asked.commons
    there = commons.sessions.members(asked.who, asked.session)
    names = commons.accounts.names_of([one.person for one in there])
    members = [
        {"person": one.person, "name": names[one.person], "role": one.role, "now": one.now, "by": one.by,
         "since": written(one.since), "expires_at": written(one.expires_at), "last_used": written(one.used_at),
         "link": one.link} for one in there
    ]  # fmt: skip
    links = [
        {"link_id": one.id, "role": one.role, "now": one.now, "label": one.label, "maker": one.maker, "uses": one.uses,
         "last_used": written(one.used_at), "expires_at": written(one.expires_at), "email": one.mail,
         "revoked_at": written(one.revoked_at), "made_at": written(one.created_at), "bundle": one.bundle}
        for one in commons.links.listed(asked.who, asked.session)
    ]  # fmt: skip
    return {**_said(asked), "members": members, "links": links}


def _revoke(asked: Asked) -> dict[str, Any]:
    link, person = asked.params.get("link"), asked.params.get("person")
    if (link is None) == (person is None):
        raise ValidationError("revoke needs a link's id or a person.", hint="See: physlab session links")
    if link is not None:
        asked.commons.links.revoke(asked.who, link)
    elif invited := [one for one in asked.commons.links.listed(asked.who, asked.session)
                     if one.mail == str(person).strip() and one.revoked_at is None]:  # fmt: skip
        for one in invited:
            asked.commons.links.revoke(asked.who, one.id)
    else:
        asked.commons.sessions.remove(asked.who, asked.session, _somebody(asked))
    return _said(asked)


def _role(asked: Asked) -> dict[str, Any]:
    wanted = asked.params.get("role")
    if wanted is None:
        raise ValidationError("role needs the new role.", hint=f"Roles: {', '.join(ROLES)}.")
    ends = asked.params.get("expires") or asked.params.get("expires_in_hours")
    end = end_of(asked.params, asked.settings, asked.commons.now) if ends else None
    asked.commons.sessions.admit(asked.who, asked.session, _somebody(asked), read_role(wanted), end)
    return _said(asked)


def _transfer(asked: Asked) -> dict[str, Any]:
    look = bool(asked.params.get("dry_run"))
    asked.commons.sessions.transfer(asked.who, asked.session, _somebody(asked), dry_run=look)
    return _said(asked)


def _somebody(asked: Asked) -> str:
    """Return the person that a call names; whether they are there is told to those who may see members."""
    name = str(asked.params.get("person") or "")
    if not name:
        raise ValidationError(f"{asked.params['operation']} needs a person.", hint="Give a mail address or a login.")
    with asked.commons.database.reading() as connection:
        authorize(connection, asked.who, "member.see", asked.session, asked.commons.now)
    found = find_person(asked.commons, name)
    if found is None:
        raise ValidationError(f"The lab knows no '{name}'.", hint="See: physlab people list")
    return found


def _said(asked: Asked) -> dict[str, Any]:
    return {"session_id": asked.session, "share_url": session_address(asked.settings, asked.session),
            "expires_at": None, "participants": []}  # fmt: skip


_OPERATIONS: dict[str, Callable[[Asked], dict[str, Any]]] = {
    "share": _share, "join": _join, "leave": _leave, "list": _list, "revoke": _revoke, "role": _role,
    "transfer": _transfer,
}  # fmt: skip
