"""What requests bring."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from physlab.model.notebook import Meaning, Name, Title, Word

Secret = Annotated[str, Field(min_length=1, max_length=1024)]
Text = Annotated[str, Field(max_length=200_000)]
Short = Annotated[str, Field(max_length=200)]
Somebody = Annotated[str, Field(min_length=1, max_length=254)]


class Body(BaseModel):
    """Closed to unknown names."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SignIn(Body):
    """A login or mail address, and its password."""

    login: Somebody
    password: Secret


class Proof(Body):
    """A second factor: `code` of an authenticator app, `recovery`, or `password` of who has none."""

    how: Literal["code", "recovery", "password"]
    shown: Secret


class NewPassword(Body):
    """A new password, and the old one."""

    old: Secret
    new: Secret


class FirstPassword(Body):
    """A password, and the code that was sent for it."""

    code: Secret
    password: Secret


class Labelled(Body):
    """What something is called."""

    label: Annotated[str, Field(min_length=1, max_length=80)]


class Code(Body):
    """A code of an authenticator app."""

    code: Secret


class Credential(Body):
    """What a browser made with a passkey, as JSON text."""

    credential: Annotated[str, Field(max_length=20_000)]
    label: Annotated[str, Field(min_length=1, max_length=80)] = "passkey"


class NewToken(Body):
    """A token for programs."""

    label: Annotated[str, Field(min_length=1, max_length=80)]
    days: Annotated[float, Field(gt=0, le=365)] = 30
    reads_only: bool = True


class NewSession(Body):
    """A session."""

    session_id: Name
    title: Short = ""


class Link(Body):
    """What a link is opened with: what stands behind the last `/` of its address."""

    token: Annotated[str, Field(max_length=200)]


class Role(Body):
    """A role, and until when."""

    role: Annotated[str, Field(max_length=20)]
    expires: Annotated[str, Field(max_length=40)] | None = None
    expires_in_hours: Annotated[float, Field(ge=1, le=8760)] | None = None


class Whom(Body):
    """A person, by mail address, login or id."""

    person: Somebody


class NewPerson(Body):
    """An account."""

    login: Annotated[str, Field(max_length=64)]
    name: Short
    mail: Annotated[str, Field(max_length=254)] | None = None
    administrator: bool = False


class Course(Body):
    """Many accounts, as the lines of a CSV file: name, mail, and login or role where wanted."""

    csv: Annotated[str, Field(max_length=1_000_000)]
    dry_run: bool = False


class NewEntry(Body):
    """An entry of a notebook."""

    title: Title
    content: Text = ""
    conclusions: Text = ""
    tools_used: Annotated[tuple[Short, ...], Field(max_length=100)] = ()
    tags: Annotated[tuple[Short, ...], Field(max_length=50)] = ()
    runs: Annotated[tuple[Short, ...], Field(max_length=50)] = ()
    artifacts: Annotated[tuple[Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")], ...], Field(max_length=200)] = ()
    template: Short | None = None


class Revision(NewEntry):
    """An entry that takes the place of another one."""

    reason: Annotated[str, Field(min_length=1, max_length=1000)]
    revises: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", description="The record that it was written from.")]


class Said(Body):
    """A comment or a review."""

    word: Word = "comment"
    text: Annotated[str, Field(max_length=20_000)] = ""


class NewKey(Body):
    """A key that one signs with, and the passphrase that opens it."""

    passphrase: Secret


class Signature(Body):
    """What a signature says, and the passphrase of the key; it is used for this request and not kept."""

    meaning: Meaning
    passphrase: Secret
