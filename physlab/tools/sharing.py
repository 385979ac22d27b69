"""`session_share` and `collaborate_share` as calls and nodes: who may see what, until when. The lab answers them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from physlab.tools.collaboration import FAMILY
from physlab.tools.context import Context
from physlab.tools.registry import Port, registry
from physlab.tools.types import Params

Operation = Literal["share", "join", "leave", "list", "revoke", "role", "transfer"]
Hours = Annotated[float, Field(ge=1, le=8760)]


class Participant(BaseModel):
    """Somebody to share with."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    email: str = Field(validation_alias=AliasChoices("email", "mail", "login", "name"), min_length=1, max_length=254)
    role: str | None = Field(None, description="`read`, `write`, `admin`, or a role; unset: that of `access`.")


def _as_objects(given: Any) -> Any:
    items = given if isinstance(given, list) else [given]
    return [{"email": item} if isinstance(item, str) else item for item in items]


People = Annotated[list[Participant], BeforeValidator(_as_objects)]
"""Mail addresses or logins, or objects with a role each."""


class ShareParams(Params):
    """What is shared with whom, until when."""

    access: str = Field("read", description="`read` or `write`, for whom no role is given; or a role.")
    expires_in_hours: Hours | None = Field(None, description="It ends so long from now, 1 to 8760 [h]; unset: 72.")
    expires: str | None = Field(
        None, description="Instead: when it ends, within a year: `YYYY-MM-DDTHH:MM:SSZ`; a day ends at 23:59:59 UTC."
    )
    participants: People = Field([], description="Mail addresses or logins, or `{email, role}` each.")
    label: str = Field("", max_length=200, description="What the share is for.")
    dry_run: bool = Field(False, description="Say what would be shared or handed over, and change nothing.")

    @model_validator(mode="after")
    def _one_end(self) -> ShareParams:
        if self.expires is not None and self.expires_in_hours is not None:
            raise ValueError("expires and expires_in_hours both say when it ends: give one of them")
        return self


class SessionShareParams(ShareParams):
    """A session, and who gets into it."""

    session_id: str | None = Field(None, description="The session; unset: the current one.")
    operation: Operation = Field("share", description="`share`, `join`, `leave`, `list`, `revoke`, `role`, `transfer`.")
    link: str | None = Field(None, description="join: its address; revoke: its id.")
    person: str | None = Field(None, description="role, transfer, revoke: mail address or login of a member.")
    role: str | None = Field(None, description="With operation role: the new one.")
    title: str = Field("", max_length=200, description="What a new session is called.")
    real_time: bool = Field(False, description="Ask for live editing.")
    features: dict[str, bool] = Field({}, description="Of live editing: `live_cursor`, `voice_chat`, `screen_sharing`.")


RETURNS = (
    Port("share_url", "text", description="Address to send to them"),
    Port("expires_at", "text", description="When it ends"),
    Port("participants", "list", description="Each with `email`, `role`, `state` and, where invited, a `share_url`"),
)


@registry.method(
    FAMILY,
    "session_share",
    params=SessionShareParams,
    returns=(
        *RETURNS,
        Port("session_id", "text", description="The session"),
        Port("link_id", "text", description="The link's name in lists, by which it is revoked"),
        Port("members", "list", description="With list: who is in, with role, since when, last used"),
        Port("links", "list", description="With list: each with role, uses, end"),
        Port("features", "object", description="Which features of live editing are on"),
    ),
    asks_lab=True,
    lasting=False,
    time_limit_s=None,
    kind="user",
)
def session_share(params: SessionShareParams, context: Context) -> dict[str, Any]:
    """Share a session with people, by roles and links that end."""
    body = context.ask_lab("session_share", params)
    context.meta.update(body.pop("meta", {}))
    return body
