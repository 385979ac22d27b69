"""The parameters of a LaTeX project."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from physlab.tools.export.archive import slug
from physlab.tools.export.people import Person, to_person
from physlab.tools.types import File, InputFile, Params

Template = Literal["article", "report", "book", "beamer", "poster"]
LABEL = r"^[A-Za-z0-9][A-Za-z0-9:._/-]*$"
PICTURES = ("image/png", "image/jpeg", "application/pdf")


class Exhibit(BaseModel):
    """One figure, table or equation of the document."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    type: Literal["figure", "table", "equation"]
    content: Any
    caption: str = ""
    label: str | None = Field(None, pattern=LABEL, max_length=80)
    width: float = Field(0.8, ge=0.05, le=1)
    header: list[str] | None = Field(None, min_length=1)
    digits: int = Field(6, ge=1, le=17)


def _from_reply(value: Any) -> Any:
    """Read the whole reply of a node as its pictures."""
    if not isinstance(value, Mapping) or "type" in value:
        return [value] if isinstance(value, Mapping) else value
    files = [item for item in value.values() if isinstance(item, File) and item.media_type in PICTURES]
    if not files:
        raise ValueError("the reply holds no picture (PNG, JPEG, PDF); give a list of {type, content, caption, label}")
    return [{"type": "figure", "content": file} for file in files]


def take_paths(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Move the paths of figures and tables into `files`, where every file enters the key of the node."""
    exhibits = raw.get("artifacts")
    if isinstance(exhibits, Mapping):
        exhibits = [exhibits] if "type" in exhibits else exhibits
    if not isinstance(exhibits, list | tuple):
        return dict(raw)
    given = raw.get("files")
    files = dict(given) if isinstance(given, Mapping) else {}
    for item in exhibits:
        content = item.get("content") if isinstance(item, Mapping) and item.get("type") != "equation" else None
        path = str(content) if isinstance(content, str | Path) else ""
        if path and "\n" not in path and not path.startswith("from:"):
            files.setdefault(path, path)
    return {**raw, "artifacts": exhibits, **({"files": files} if files else {})}


def expand(raw: dict[str, Any], base_dir: Path) -> dict[str, Any]:
    """Do so before references are looked for."""
    return take_paths(raw)


class OverleafParams(Params):
    """A document and what stands in it."""

    project_name: str = Field("", max_length=200, description="Name of the archive and its folder; default: the title.")
    title: str = Field("", max_length=500, description="Title of the document; default: the name of the project.")
    template: Template = Field("article", description="Class of the document; poster is A1, upright.")
    authors: list[Annotated[Person, BeforeValidator(to_person)]] = Field(
        [], description="Names, or {name, affiliation, email, orcid}."
    )
    abstract: str = Field("", description="Plain text; an empty line begins a paragraph, [@key] cites.")
    artifacts: Annotated[list[Exhibit], BeforeValidator(_from_reply)] = Field(
        [],
        description="What stands in it, in order: {type: figure, content: path or from:node.field, caption, label, "
        "width (0.8 of the line)}; {type: table, content: CSV file or text, rows, or {column: values}, header, digits "
        "(6 significant)}; {type: equation, content: LaTeX}. Or from:node, all its pictures.",
    )
    bibliography: list[str] = Field([], description="BibTeX entries.")
    files: dict[str, InputFile] = Field(
        {},
        description="Further files by name; `content` may be such a name. Paths of artifacts get here by themselves.",
    )
    provenance: Literal["none", "included"] = Field(
        "none", description="included: an appendix with the SHA-256 of every file that artifacts came from."
    )
    check: bool = Field(True, description="Compile the project where a TeX is installed, and keep the PDF.")

    @model_validator(mode="before")
    @classmethod
    def _paths(cls, data: Any) -> Any:
        return take_paths(data) if isinstance(data, Mapping) else data

    @field_validator("title", "project_name")
    @classmethod
    def _stripped(cls, text: str) -> str:
        return text.strip()

    @model_validator(mode="after")
    def _consistent(self) -> OverleafParams:
        if not self.title and not self.project_name:
            raise ValueError("a title or a project_name is needed")
        labels = [item.label for item in self.artifacts if item.label]
        doubles = {label for label in labels if labels.count(label) > 1}
        if doubles:
            raise ValueError(f"the label '{min(doubles)}' occurs twice; give each artifact its own")
        return self

    @property
    def name(self) -> str:
        """The project's name as a file name."""
        return slug(self.project_name or self.title, "project")

    @property
    def heading(self) -> str:
        """The title."""
        return self.title or self.project_name
