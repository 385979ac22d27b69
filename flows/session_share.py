"""The flow `session-share`."""

from typing import Annotated, Any

from prefect import flow
from pydantic import Field

from physlab.engine import conduct


@flow(name="session-share", log_prints=False, persist_result=False)
def session_share(
    session_id: str | None = None,
    access: str = "read",
    expires_in_hours: Annotated[float, Field(ge=1, le=8760)] | None = None,
    expires: str | None = None,
    participants: list[str | dict[str, str]] | None = None,
    operation: str = "share",
    link: str | None = None,
    person: str | None = None,
    role: str | None = None,
    label: str | None = None,
    real_time: bool = False,
    features: dict[str, bool] | None = None,
    dry_run: bool = False,
    lab: str | None = None,
) -> dict[str, Any]:
    """Share a session with people, by roles and links that end.

    Args:
        session_id: The session; the lab's current one when empty.
        access: read or write, for whom no role is given; or a role.
        expires_in_hours: It ends so long from now, 1 to 8760 [h]; 72 when empty.
        expires: Instead, when it ends, within a year: YYYY-MM-DDTHH:MM:SSZ.
        participants: Mail addresses or logins, or {email, role} each; when empty, whoever has the link.
        operation: share, join, leave, list, revoke, role or transfer.
        link: With join: its address; with revoke: its id.
        person: With role, transfer and revoke: mail address or login of a member.
        role: With role: the new one.
        label: What the share is for.
        real_time: Ask for live editing.
        features: Of live editing: live_cursor, voice_chat, screen_sharing.
        dry_run: Say what would be shared, and share nothing.
        lab: Name of a saved `Local Lab` block; the worker's own settings when empty.

    Returns:
        share_url, expires_at and participants; with list also members and links.
    """
    given = locals()
    return conduct.answer("distributed_collaboration", "session_share", given)
