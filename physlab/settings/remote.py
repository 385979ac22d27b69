"""`[stores]`, `[replicas]` and `[keys]`: where else the lab's bytes live, and who can read what leaves."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, field_validator, model_validator

from physlab.model.base import Model
from physlab.settings.rates import Rate

_KINDS = ("s3", "sftp")


def _not_taken(name: str) -> str:
    if name == "lab":
        raise ValueError("'lab' is this lab's own store: call the other one something else")
    return name


StoreName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,31}$"), AfterValidator(_not_taken)]


def _words(value: object) -> object:
    return tuple(shlex.split(value)) if isinstance(value, str) else value


class RemoteStoreSettings(Model):
    """`[stores.NAME]`: another place for the lab's bytes and records."""

    url: str = Field(description="A folder, file:///…, s3://bucket/prefix, or sftp://user@host/path.")
    endpoint: str | None = Field(None, description="URL of an S3-compatible service; unset: Amazon's.")
    limit: Rate | None = Field(None, description="At most so much each way, such as 5MB/s; unset: no limit [bytes/s].")
    sealed: bool = Field(False, description="What goes there is sealed, names included: see `physlab keys`.")
    project: str = Field("lab", description="Whose data key seals it.")
    replica: bool = Field(False, description="It is one of the places that [replicas] counts.")

    @field_validator("url")
    @classmethod
    def _is_a_place(cls, url: str) -> str:
        kind, found, rest = url.partition("://")
        if not found:
            return url
        if kind == "file" and rest.startswith("/"):
            return rest
        if kind not in _KINDS or not rest or rest.startswith("/"):
            raise ValueError("give a folder, file:///path, s3://bucket/prefix or sftp://user@host/path")
        if ":" in rest.partition("/")[0].rpartition("@")[0]:
            raise ValueError("a password does not belong into the address: use an ssh key, or the AWS_ variables")
        return url

    @model_validator(mode="after")
    def _has_an_endpoint_in_s3_only(self) -> Self:
        if self.endpoint is not None and not self.url.startswith("s3://"):
            raise ValueError("endpoint is for s3:// only")
        return self


class ReplicaSettings(Model):
    """`[replicas]`: in how many stores everything is kept, beside the lab itself."""

    copies: int = Field(1, ge=1, le=16, description="Copies of each file in the stores that say `replica = true`.")


class KeySettings(Model):
    """`[keys]`: where the server key comes from that opens the data keys; unset: a file in the lab's home."""

    server_file: Path | None = Field(None, description="File that holds the server key, such as a mounted secret.")
    server_variable: str | None = Field(None, description="Environment variable that holds the server key.")
    server_command: Annotated[tuple[str, ...], BeforeValidator(_words)] = Field(
        (), description="Program that prints the server key, such as that of a password manager; no shell."
    )

    @model_validator(mode="after")
    def _names_one_source(self) -> Self:
        if sum(map(bool, (self.server_file, self.server_variable, self.server_command))) > 1:
            raise ValueError("name one source of the server key: server_file, server_variable or server_command")
        return self
