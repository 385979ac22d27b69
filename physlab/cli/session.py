"""`session`: runs, files and notebook of a project, shared with people by roles and links that end."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from physlab.cli.options import Json, Yes
from physlab.cli.output import escape, local_time, quoted, table, voice

app = typer.Typer(name="session", help="What is shared with whom, until when.", no_args_is_help=True)
Session = Annotated[
    str | None, typer.Option("--session", "-s", metavar="NAME", help="The session; unset: the current one.")
]
Somebody = Annotated[str, typer.Argument(metavar="PERSON", help="A mail address or login.")]
Until = Annotated[
    str | None,
    typer.Option(
        "--until",
        metavar="TIME",
        help="When it ends: YYYY-MM-DD (with that day, in UTC), or YYYY-MM-DDTHH:MM:SSZ.",
        show_default=False,
    ),
]
Hours = Annotated[
    float | None, typer.Option("--hours", help="It ends so long from now, 1 to 8760 hours.", show_default=False)
]


def _answer(operation: str, session: str | None, **params: Any) -> dict[str, Any]:
    from physlab.lab import Lab
    from physlab.service import session_share
    from physlab.settings import load_settings
    from physlab.tools.call import check_params

    given = {"operation": operation, "session_id": session, **params}
    with Lab(load_settings()) as lab:
        method = lab.registry.find("distributed_collaboration", "session_share")
        checked = check_params(method, {name: value for name, value in given.items() if value is not None})
        return session_share(lab, checked.model_dump(exclude_none=True))


@app.command()
def share(
    people: Annotated[
        list[str] | None,
        typer.Argument(metavar="[PERSON[=ROLE]]...", help="Mail addresses or logins; none: whoever has the link."),
    ] = None,
    access: Annotated[str, typer.Option("--access", "-a", help="read or write, for whom no role is given.")] = "read",
    hours: Hours = None,
    until: Until = None,
    label: Annotated[str | None, typer.Option("--label", help="What it is for.", show_default=False)] = None,
    session: Session = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be shared.")] = False,
    json: Json = False,
) -> int:
    """Share the session: a link for whoever has it, or one for each person, who may become members."""
    participants = []
    for word in people or ():
        name, _, role = word.partition("=")
        participants.append({"email": name, **({"role": role} if role else {})})
    body = _answer("share", session, access=access, expires_in_hours=hours, expires=until, label=label,
                   participants=participants, dry_run=dry_run)  # fmt: skip
    if voice.as_json:
        voice.reply(body)
        return 0
    name = body["session_id"]
    for one in body["participants"]:
        voice.say(f"[green]✓[/green] [bold]{escape(one['email'])}[/bold] {one['role']}, {one['state']}")
        if "share_url" in one:
            voice.fact("send them", one["share_url"])
    if not dry_run and not body["participants"]:
        voice.say(f"[green]✓[/green] Whoever has this address may {access} the session [bold]{escape(name)}[/bold]:")
        voice.say(escape(body["share_url"]))
    for warning in body["meta"]["warnings"]:
        voice.remark(warning)
    voice.fact("ends", local_time(body["expires_at"]))
    if dry_run:
        voice.note("Nothing was shared.")
    else:
        if not body["participants"] or any("share_url" in one for one in body["participants"]):
            voice.note("The addresses are shown once: the lab keeps only their hashes.")
        voice.next("physlab portal" if not body["participants"] else f"physlab session members -s {quoted(name)}")
    return 0


@app.command("list")
def list_sessions(json: Json = False) -> int:
    """List the sessions, and the role one has in each."""
    from physlab.lab import Lab
    from physlab.service.sharing.commons import commons_of, local_who
    from physlab.settings import load_settings

    with Lab(load_settings()) as lab, commons_of(lab) as commons:
        found = commons.sessions.of(local_who(lab, commons))
    if voice.as_json:
        voice.reply({"sessions": [{"session_id": name, "role": role} for name, role in found.items()]})
    elif found:
        voice.say(table(["session", "role"], found.items()))
    else:
        voice.say("Nothing is shared yet.")
        voice.next("physlab session share")
    return 0


@app.command()
def members(session: Session = None, json: Json = False) -> int:
    """List who is in the session: with which role, since when, until when, last used."""
    body = _answer("list", session)
    if voice.as_json:
        voice.reply({"session_id": body["session_id"], "members": body["members"]})
        return 0
    rows = [
        (one["name"], one["role"], one["now"] or "nothing", local_time(one["since"]), _when(one["expires_at"]),
         _when(one["last_used"])) for one in body["members"]
    ]  # fmt: skip
    voice.say(table(["person", "role", "now", "since", "ends", "last used"], rows, free="person"))
    return 0


@app.command()
def links(session: Session = None, json: Json = False) -> int:
    """List the links to the session: what each gives now, how often it was used, when it ends."""
    body = _answer("list", session)
    if voice.as_json:
        voice.reply({"session_id": body["session_id"], "links": body["links"]})
        return 0
    if not body["links"]:
        voice.say("There is no link to this session.")
        return 0
    rows = [
        (one["link_id"][:12], one["role"], "revoked" if one["revoked_at"] else one["now"] or "nothing",
         one["email"] or one["label"] or "whoever has it", str(one["uses"]), _when(one["last_used"]),
         _when(one["expires_at"]))
        for one in body["links"]
    ]  # fmt: skip
    voice.say(table(["link", "role", "now", "for", "used", "last", "ends"], rows, right=["used"], free="for"))
    return 0


def _when(moment: str | None) -> str:
    return local_time(moment) if moment else "–"


@app.command()
def revoke(
    what: Annotated[str, typer.Argument(metavar="LINK|PERSON", help="A link's id, or who is to leave.")],
    session: Session = None,
    json: Json = False,
) -> int:
    """Take a link back, or a person out; whoever joined by the link is out with it."""
    body = _answer("list", session)
    ids = [one["link_id"] for one in body["links"] if len(what) >= 4 and one["link_id"].startswith(what)]
    given = {"link": ids[0]} if len(ids) == 1 else {"person": what}
    return _done(_answer("revoke", session, **given), f"[green]✓[/green] {escape(what)} opens nothing any more.")


@app.command()
def role(
    person: Somebody,
    role: Annotated[str, typer.Argument(help="viewer, commenter, editor, admin or owner; or read, write.")],
    hours: Hours = None,
    until: Until = None,
    session: Session = None,
    json: Json = False,
) -> int:
    """Give a person a role, also for a time."""
    body = _answer("role", session, person=person, role=role, expires_in_hours=hours, expires=until)
    return _done(body, f"[green]✓[/green] {escape(person)} has the role {escape(role)}.")


@app.command()
def transfer(person: Somebody, session: Session = None, yes: Yes = False, json: Json = False) -> int:
    """Hand the session over to another member."""
    if not yes and not voice.as_json:
        _answer("transfer", session, person=person, dry_run=True)  # nobody is asked about what cannot be
        typer.confirm(f"{person} will own the session. Go on?", abort=True)
    return _done(_answer("transfer", session, person=person), f"[green]✓[/green] {escape(person)} owns the session.")


@app.command()
def join(
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="Of the link, as it was sent; in quotes.")],
    token_file: Annotated[
        Path | None,
        typer.Option("--token-file", metavar="FILE", help="File with a token of yours there (mode 600); unset: asked.",
                     show_default=False),
    ] = None,
    json: Json = False,
) -> int:  # fmt: skip
    """Join a session of another lab by a link, with a token of your account there."""
    from physlab.cli.passphrase import hidden
    from physlab.service.sharing.fetch import join_link

    voice.parting = "You are in no session more than before."
    found = join_link(address, hidden("Token of your account there", token_file))
    if voice.as_json:
        voice.reply(found)
        return 0
    voice.say(f"[green]✓[/green] You are {found['role']} of {escape(found['session_id'])} at {found['lab']}.")
    return 0


@app.command()
def leave(session: Session = None, json: Json = False) -> int:
    """Leave the session."""
    return _done(_answer("leave", session), "[green]✓[/green] You left the session.")


@app.command()
def close(session: Session = None, yes: Yes = False, json: Json = False) -> int:
    """Close the session: its links and memberships open nothing any more; runs, files and notebook stay here."""
    from physlab.lab import Lab
    from physlab.service.sharing.commons import commons_of, local_who
    from physlab.settings import load_settings

    settings = load_settings()
    name = session or settings.collaboration.session
    if not yes and not voice.as_json:
        typer.confirm(f"Nobody will get into {name} any more. Go on?", abort=True)
    with Lab(settings) as lab, commons_of(lab) as commons:
        commons.sessions.close(local_who(lab, commons), name)
    if voice.as_json:
        voice.reply({"closed": name})
    else:
        voice.say(f"[green]✓[/green] The session {escape(name)} is closed.")
    return 0


def _done(body: dict[str, Any], words: str) -> int:
    if voice.as_json:
        voice.reply(body)
    else:
        voice.say(words)
        voice.next(f"physlab session members -s {quoted(body['session_id'])}")
    return 0


@app.command()
def review(
    unused_days: Annotated[float, typer.Option(help="Only what nobody used for so many days.")] = 0, json: Json = False
) -> int:
    """Review who has what: every member and link of every session, since when, last used; what nobody used first."""
    from physlab.lab import Lab
    from physlab.service.sharing.review import review_access
    from physlab.settings import load_settings

    with Lab(load_settings()) as lab:
        found = review_access(lab, unused_days)
    if voice.as_json:
        voice.reply({"access": found})
        return 0
    if not found:
        voice.say("Nothing is shared that nobody used." if unused_days else "Nothing is shared.")
        return 0
    rows = [
        (one["session_id"], one["who"], one["role"], local_time(one["since"]), _when(one["expires_at"]),
         _when(one["last_used"])) for one in found
    ]  # fmt: skip
    voice.say(table(["session", "who", "role", "since", "ends", "last used"], rows, free="who"))
    voice.next("physlab session revoke LINK|PERSON -s SESSION", "to end")
    return 0
