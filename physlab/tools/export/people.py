"""People and the identifiers of research: ORCID, DOI and the like, checked before anything leaves the lab."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

_ORCID = re.compile(r"(?:https?://orcid\.org/)?(\d{4})-?(\d{4})-?(\d{4})-?(\d{3}[\dXx])/?")
_EMAIL = re.compile(r"[^@\s<>]+@[^@\s<>]+")
_SCHEMES = {
    "doi": re.compile(r"(?:https?://(?:dx\.)?doi\.org/|doi:)?(10\.\d{4,9}(?:\.\d+)*/\S+)", re.IGNORECASE),
    "arxiv": re.compile(r"(?:https?://arxiv\.org/abs/|arxiv:)(\d{4}\.\d{4,5}(?:v\d+)?|[a-z-]+(?:\.[A-Z]{2})?/\d{7})",
                        re.IGNORECASE),
    "pmid": re.compile(r"pmid:\s?(\d+)", re.IGNORECASE),
    "ads": re.compile(r"(?:ads:|bibcode:)?(\d{4}[A-Za-z&.]{1,9}[A-Za-z0-9.]{4}[A-Za-z.][0-9.]{4}[A-Z.])"),
    "isbn": re.compile(r"(?:isbn:?\s?)((?:\d[\s-]?){9}[\dXx]|(?:97[89][\s-]?)(?:\d[\s-]?){10})", re.IGNORECASE),
    "issn": re.compile(r"(?:issn:?\s?)(\d{4}-\d{3}[\dXx])", re.IGNORECASE),
    "urn": re.compile(r"(urn:[a-z0-9][a-z0-9-]{1,31}:\S+)", re.IGNORECASE),
    "handle": re.compile(r"(?:https?://hdl\.handle\.net/|hdl:)(\d+(?:\.\d+)*/\S+)", re.IGNORECASE),
    "url": re.compile(r"(https?://[^\s<>\"]+)", re.IGNORECASE),
}  # fmt: skip


def orcid_check_digit(digits: str) -> str:
    """Return the check digit of the first fifteen digits of an ORCID iD.

    ISO 7064 MOD 11-2, as described by ORCID, "Structure of the ORCID Identifier".
    """
    total = 0
    for digit in digits:
        total = (total + int(digit)) * 2
    rest = (12 - total % 11) % 11
    return "X" if rest == 10 else str(rest)


def check_orcid(text: str) -> str:
    """Return an ORCID iD as `0000-0002-1825-0097`; it may be given as an address or without hyphens.

    Raises:
        ValueError: It has not that form, or its check digit is wrong.
    """
    match = _ORCID.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"'{text}' is no ORCID iD; it looks like 0000-0002-1825-0097")
    digits = "".join(match.groups()).upper()
    expected = orcid_check_digit(digits[:15])
    if digits[15] != expected:
        raise ValueError(
            f"'{text}' is no ORCID iD: its check digit is {digits[15]}, but the other digits ask for {expected}; "
            "look for a slip"
        )
    return "-".join(digits[start : start + 4] for start in range(0, 16, 4))


def _one_line(text: str) -> str:
    text = " ".join(text.split())
    if not text or not text.isprintable():
        raise ValueError("a name is needed")
    return text


def _email(text: str) -> str:
    if not _EMAIL.fullmatch(text) or not text.isprintable():
        raise ValueError(f"'{text}' is no e-mail address")
    return text


class Person(BaseModel):
    """Somebody who made something."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, AfterValidator(_one_line)] = Field(max_length=200)
    affiliation: str | None = Field(None, max_length=500)
    orcid: Annotated[str, AfterValidator(check_orcid)] | None = None
    email: Annotated[str, AfterValidator(_email)] | None = None

    @property
    def names(self) -> tuple[str, str]:
        """Family name and given names: split at a comma, else before the last word."""
        if "," in self.name:
            family, _, given = self.name.partition(",")
            return family.strip(), given.strip()
        given, _, family = self.name.rpartition(" ")
        return family, given

    @property
    def spoken(self) -> str:
        """The name as it is said: given names first."""
        family, given = self.names
        return f"{given} {family}".strip()


def to_person(value: Any) -> Any:
    """Read a name alone as a person."""
    return {"name": value} if isinstance(value, str) else value


def identify(text: str) -> tuple[str, str]:
    """Return the scheme and the bare form of a persistent identifier.

    Returns:
        For instance `("doi", "10.1103/PhysRev.47.777")`.

    Raises:
        ValueError: It belongs to no known scheme, or its check digit is wrong.
    """
    for scheme, pattern in _SCHEMES.items():
        if match := pattern.fullmatch(text.strip()):
            found = match[1]
            if scheme == "isbn" and not _isbn(found):
                raise ValueError(f"'{text}' is no ISBN: its check digit is wrong")
            if scheme == "issn" and not _issn(found):
                raise ValueError(f"'{text}' is no ISSN: its check digit is wrong")
            return scheme, found
    raise ValueError(f"'{text}' is none of: DOI, arXiv:…, URL, PMID:…, ISBN …, ISSN …, hdl:…, urn:…, ADS bibcode")


def _isbn(text: str) -> bool:
    digits = [10 if sign in "Xx" else int(sign) for sign in re.sub(r"[\s-]", "", text)]
    if len(digits) == 10:
        return sum((10 - place) * digit for place, digit in enumerate(digits)) % 11 == 0
    return sum(digit * (3 if place % 2 else 1) for place, digit in enumerate(digits)) % 10 == 0


def _issn(text: str) -> bool:
    digits = [10 if sign in "Xx" else int(sign) for sign in text.replace("-", "")]
    return sum((8 - place) * digit for place, digit in enumerate(digits)) % 11 == 0
