"""The parameters of a repository for GitHub."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from physlab.tools.export.given_files import expand_files
from physlab.tools.export.licence_texts import Licence
from physlab.tools.export.people import Person, to_person
from physlab.tools.types import InputFile, Params

_NAME = re.compile(r"[A-Za-z0-9._-]{1,100}")
_TOPIC = re.compile(r"[a-z0-9][a-z0-9-]{0,49}")
FIRST_MOMENT = "1980-01-01T00:00:00+00:00"  # of a repository whose date nobody said; the clock is never asked


def _name(text: str) -> str:
    if not _NAME.fullmatch(text) or text in (".", "..") or text.lower().endswith((".git", ".wiki")):
        raise ValueError("a name on GitHub is up to 100 letters, digits, '.', '_' and '-', without '.git' at the end")
    return text


def _topic(text: str) -> str:
    if not _TOPIC.fullmatch(text):
        raise ValueError(f"'{text}' is no topic: up to 50 small letters, digits and hyphens")
    return text


def _moment(text: str | None) -> str | None:
    if text is None:
        return None
    moment = datetime.fromisoformat(text)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if moment.year < 1970:
        raise ValueError("git knows no moment before 1970")
    return moment.isoformat()


def _one_line(text: str) -> str:
    text = " ".join(text.split())
    if not text.isprintable():
        raise ValueError("control characters are not possible")
    return text


def expand(raw: dict[str, Any], base_dir: Path) -> dict[str, Any]:
    """Look for the files that globs mean before they enter the key."""
    return expand_files(raw, base_dir, ("artifacts", "code"))


class GithubParams(Params):
    """A repository, and whether it is pushed."""

    repository_name: Annotated[str, AfterValidator(_name)] = Field(description="Name of the repository.")
    description: Annotated[str, AfterValidator(_one_line)] = Field("", max_length=350, description="One line.")
    private: bool = Field(False, description="Create it so that only its members see it.")
    include_artifacts: bool = Field(True, description="Put `artifacts` into it.")
    include_code: bool = Field(True, description="Put `code` into it.")
    license: Licence = Field("MIT", description="Its full text becomes LICENSE.")
    topics: list[Annotated[str, AfterValidator(_topic)]] = Field([], max_length=20, description="Topics on GitHub.")
    readme_content: str | None = Field(None, description="README.md; default: made from the other parameters.")
    authors: list[Annotated[Person, BeforeValidator(to_person)]] = Field(
        [], description="Names, or {name, affiliation, email, orcid}; the first one is the author of the commit."
    )
    date: Annotated[str | None, AfterValidator(_moment)] = Field(
        None, description=f"Moment of the commit (ISO 8601); default: {FIRST_MOMENT[:10]}, for 'not said'."
    )
    artifacts: dict[str, InputFile] | list[InputFile] = Field(
        {},
        description="Results, into artifacts/: name → path or from:node.field; or a list of paths, globs, references.",
    )
    code: dict[str, InputFile] | list[InputFile] = Field({}, description="Programs, into code/: likewise.")
    push: bool = Field(False, description="Create the repository and push to it; asks for a token in [export].")

    @property
    def moment(self) -> str:
        """When the commit was made."""
        return self.date or FIRST_MOMENT
