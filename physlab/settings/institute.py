"""`[institutes]`: where people of several universities are signed in."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field, SecretStr, StringConstraints

from physlab.model.base import Model

InstituteName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,31}$")]


def _listed(value: object) -> object:
    return tuple(filter(None, map(str.strip, value.split(",")))) if isinstance(value, str) else value


class InstituteSettings(Model):
    """`[institutes.NAME]`: an OpenID Connect provider that is trusted to know people."""

    issuer: str = Field(description="Its address as its tokens name it: https://login.example.org/realms/physics.")
    client_id: str = Field(min_length=1, description="What it calls this lab.")
    client_secret: SecretStr | None = Field(
        None, description="With which this lab proves to be that; better as a variable than in a file."
    )
    mail_domains: Annotated[tuple[str, ...], BeforeValidator(_listed)] = Field(
        (), description="Who has a verified mail address there gets an account by signing in; empty: nobody new does."
    )
