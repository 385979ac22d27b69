"""The parameters of a deposition in Zenodo or another InvenioRDM."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from physlab.tools.export.given_files import expand_files
from physlab.tools.export.people import Person, identify, to_person
from physlab.tools.types import InputFile, Params

LICENCES = {"CC-BY-4.0": "cc-by-4.0", "CC-BY-SA-4.0": "cc-by-sa-4.0", "CC0-1.0": "cc0-1.0", "MIT": "mit"}
# Zenodo, "Developers: Deposit metadata" (developers.zenodo.org).
Relation = Literal[
    "isCitedBy", "cites", "isSupplementTo", "isSupplementedBy", "isContinuedBy", "continues", "isDescribedBy",
    "describes", "hasMetadata", "isMetadataFor", "isNewVersionOf", "isPreviousVersionOf", "isPartOf", "hasPart",
    "isReferencedBy", "references", "isDocumentedBy", "documents", "isCompiledBy", "compiles", "isVariantFormOf",
    "isOriginalFormOf", "isIdenticalTo", "isAlternateIdentifier", "isReviewedBy", "reviews", "isDerivedFrom",
    "isSourceOf", "requires", "isRequiredBy", "isObsoletedBy", "obsoletes",
]  # fmt: skip
PublicationType = Literal[
    "annotationcollection", "book", "section", "conferencepaper", "datamanagementplan", "article", "patent", "preprint",
    "deliverable", "milestone", "proposal", "report", "softwaredocumentation", "taxonomictreatment", "technicalnote",
    "thesis", "workingpaper", "other",
]  # fmt: skip


def _scheme(text: str) -> str:
    identify(text)
    return text.strip()


class Related(BaseModel):
    """Another work, and how this one relates to it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    identifier: Annotated[str, AfterValidator(_scheme)]
    relation: Relation = "references"
    resource_type: str | None = None


def _related(value: Any) -> Any:
    return {"identifier": value} if isinstance(value, str) else value


def _filled(text: str) -> str:
    text = text.strip()
    if not text:
        raise ValueError("a text is needed; Zenodo refuses an empty one")
    return text


def _day(text: str | None) -> str | None:
    if text is not None:
        datetime.date.fromisoformat(text)
    return text


FILES = ("files",)


def expand(raw: dict[str, Any], base_dir: Path) -> dict[str, Any]:
    """Look for the files that globs mean before they enter the key."""
    return expand_files(raw, base_dir, FILES)


class ZenodoParams(Params):
    """A deposition: what it is, who made it, and its files."""

    title: Annotated[str, AfterValidator(_filled)] = Field(max_length=500, description="Title of the record.")
    description: Annotated[str, AfterValidator(_filled)] = Field(description="What it is; simple HTML is allowed.")
    creators: list[Annotated[Person, BeforeValidator(to_person)]] = Field(
        min_length=1,
        description='{name: "Family, Given", affiliation, orcid}; the check digit of the ORCID is checked.',
    )
    keywords: list[Annotated[str, AfterValidator(_filled)]] = Field([], description="Keywords.")
    license: Literal["CC-BY-4.0", "CC-BY-SA-4.0", "CC0-1.0", "MIT"] = Field("CC-BY-4.0", description="Licence.")
    upload_type: Literal["dataset", "software", "publication"] = Field("dataset", description="Kind of the record.")
    publication_type: PublicationType = Field("other", description="Of a publication: which kind.")
    publication_date: Annotated[str | None, AfterValidator(_day)] = Field(
        None, description="YYYY-MM-DD; default: the day of publishing."
    )
    version: str | None = Field(None, max_length=100, description="Version of the data or program.")
    related_identifiers: list[Annotated[Related, BeforeValidator(_related)]] = Field(
        [], description="{identifier: DOI, arXiv:…, URL, ISBN …, …, relation (references), resource_type}, or a text."
    )
    files: dict[str, InputFile] | list[InputFile] = Field(
        {}, description="Name → path or from:node.field; or a list of paths, globs and references."
    )
    upload: bool = Field(False, description="Send it as a draft, which only you see; asks for a token in [export].")
    publish: bool = Field(False, description="Publish the draft, which cannot be undone; needs upload: true.")
    sandbox: bool = Field(True, description="Use the sandbox, where DOIs are for trial; false: the real one.")

    @model_validator(mode="after")
    def _asked_plainly(self) -> ZenodoParams:
        if self.publish and not self.upload:
            raise ValueError("publish: true needs upload: true; publishing cannot be undone, so both are asked for")
        if self.upload and not self.files:
            raise ValueError("a deposition without files is not accepted by Zenodo; give files")
        return self

    def metadata(self) -> dict[str, Any]:
        """Return the metadata as the deposit interface wants them."""
        found: dict[str, Any] = {
            "title": self.title,
            "description": self.description,
            "upload_type": self.upload_type,
            "creators": [
                {key: value for key, value in person.model_dump(exclude={"email"}).items() if value}
                for person in self.creators
            ],
            "access_right": "open",
            "license": LICENCES[self.license],
        }
        if self.upload_type == "publication":
            found["publication_type"] = self.publication_type
        if self.related_identifiers:
            found["related_identifiers"] = [_as_metadata(item) for item in self.related_identifiers]
        optional = {
            "keywords": list(dict.fromkeys(self.keywords)),
            "publication_date": self.publication_date,
            "version": self.version,
        }
        return found | {key: value for key, value in optional.items() if value}


def _as_metadata(item: Related) -> dict[str, str]:
    scheme, identifier = identify(item.identifier)
    identifier = f"arXiv:{identifier}" if scheme == "arxiv" else identifier
    found = {"identifier": identifier, "relation": item.relation, "scheme": scheme}
    return found | ({"resource_type": item.resource_type} if item.resource_type else {})
