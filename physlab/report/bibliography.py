"""BibTeX to numbered references, in the manner of the journals of the American Physical Society."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup, escape

from physlab.errors import ValidationError, nearest

_CITATION = re.compile(r"\\cite[pt]?\{([^{}]*)\}|\[(@[^\[\]]*)\]")
_WEB = re.compile(r"https?://[^\s<>\"]+")


@dataclass
class Bibliography:
    """References by key; a reference gets its number when it is first cited.

    Attributes:
        entries: For each key the formatted reference.
        numbers: For each cited key its number.
    """

    entries: dict[str, Markup] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)

    def cite(self, text: str) -> Markup:
        r"""Return a text as HTML with `[@key]` and `\cite{key}` as linked numbers.

        Raises:
            ValidationError: A cited key is in no given entry.
        """
        parts, last = [], 0
        for match in _CITATION.finditer(text):
            keys = [key.strip().removeprefix("@") for key in re.split("[,;]", match[1] or match[2])]
            parts += [escape(text[last : match.start()]), self.links(keys)]
            last = match.end()
        return Markup("").join([*parts, escape(text[last:])])

    def links(self, keys: Sequence[str]) -> Markup:
        """Return `[1, 2]`, each number linked to its reference."""
        for key in keys:
            if key not in self.entries:
                raise ValidationError(
                    f"The text cites '{key}', which is in no BibTeX entry.", hint=nearest(key, self.entries)
                )
            self.numbers.setdefault(key, len(self.numbers) + 1)
        link = Markup('<a class="cite" href="#ref-{0}">{0}</a>')
        return Markup("[{}]").format(Markup(", ").join(link.format(self.numbers[key]) for key in keys))

    def uncited(self) -> list[str]:
        """Return the keys that no text cites, in the order given."""
        return [key for key in self.entries if key not in self.numbers]

    def listing(self) -> list[tuple[int, Markup]]:
        """Return the references by number: those cited in that order, then the others as they were given."""
        for key in self.uncited():
            self.numbers[key] = len(self.numbers) + 1
        return [(number, self.entries[key]) for key, number in sorted(self.numbers.items(), key=lambda item: item[1])]


def read_bibliography(sources: Sequence[str]) -> Bibliography:
    """Return the references of BibTeX texts.

    Args:
        sources: BibTeX, one or more entries each; never a path.

    Raises:
        ValidationError: A text is no BibTeX, an entry is incomplete, or a key occurs twice.
    """
    found = Bibliography()
    for index, source in enumerate(sources):
        parsed = _parse(source, index)
        if not parsed.entries:
            raise ValidationError(
                f"bib[{index}] = {source[:60]!r} holds no BibTeX entry.",
                hint="Give BibTeX itself, for instance '@article{key, author = {…}, title = {…}, year = {…}}'.",
            )
        for key, entry in parsed.entries.items():
            if key in found.entries:
                raise ValidationError(f"The BibTeX key '{key}' occurs twice.", hint="Give each entry its own key.")
            found.entries[key] = _format(key, entry)
    return found


def _parse(source: str, index: int) -> Any:
    from pybtex.database.input.bibtex import Parser
    from pybtex.exceptions import PybtexError

    try:
        return Parser().parse_string(source)
    except PybtexError as error:
        key = getattr(getattr(error, "parser", None), "current_entry_key", None)
        where = f"entry '{key}'" if key else f"bib[{index}] = {source.strip()[:60]!r}"
        raise ValidationError(
            f"The BibTeX of {where} cannot be read: {error}.", hint="Check its braces, quotes, commas and field names."
        ) from error


def _format(key: str, entry: Any) -> Markup:
    """Return one reference: authors, title, journal **volume**, pages (year), link."""
    from pybtex.exceptions import PybtexError

    try:
        values = {name.lower(): _plain(text) for name, text in entry.fields.items()}
        people = _people(entry)
    except (PybtexError, ValueError) as error:  # ValueError: latexcodec
        raise ValidationError(f"BibTeX entry '{key}' holds broken LaTeX: {error}.", hint="Check its braces.") from error
    if not people and not values.get("title"):
        raise ValidationError(f"BibTeX entry '{key}' has neither author nor title.", hint="Give at least one of them.")
    book = entry.type in ("book", "phdthesis", "mastersthesis", "proceedings", "manual")
    title = values.get("title", "")
    named = Markup("<i>{}</i>").format(title) if title and book else escape(title)
    parts = [escape(people), named, *_where(values), _link(values)]
    return Markup(", ").join(part for part in parts if part) + Markup(".")


def _where(values: dict[str, str]) -> Iterator[Markup]:
    """Yield where it was published, and when."""
    year = Markup(" ({})").format(values["year"]) if values.get("year") else Markup("")
    pages = escape(values.get("pages", "").split("-")[0].split("–")[0])
    if values.get("journal"):
        volume = Markup(" <b>{}</b>").format(values["volume"]) if values.get("volume") else Markup("")
        yield escape(values["journal"]) + volume + (Markup(", ") + pages if pages else Markup("")) + year
        return
    if values.get("booktitle"):
        yield Markup("in <i>{}</i>").format(values["booktitle"])
    if values.get("edition"):
        yield escape(values["edition"] + " ed.")
    if values.get("version"):
        yield escape("version " + values["version"])
    makers = (values.get(name, "") for name in ("publisher", "school", "institution", "organization", "howpublished"))
    yield escape(", ".join(filter(None, [*makers, values.get("address", "")]))) + year
    if pages:
        yield escape("p. " + values["pages"])


def _link(values: dict[str, str]) -> Markup:
    """Return the DOI, arXiv number or address, linked when it is plain web."""
    doi = re.sub(r"^https?://(dx\.)?doi\.org/", "", values.get("doi", ""))
    if doi:
        return Markup('<a href="https://doi.org/{0}">doi:{0}</a>').format(doi)
    eprint = values.get("eprint", "")
    if eprint and values.get("archiveprefix", "arxiv").lower() == "arxiv":
        return Markup('<a href="https://arxiv.org/abs/{0}">arXiv:{0}</a>').format(eprint)
    url = values.get("url", "")
    return Markup('<a href="{0}">{0}</a>').format(url) if _WEB.fullmatch(url) else escape(url)


def _people(entry: Any) -> str:
    """Return `A. B. Author, C. Author and D. Author`; of more than ten the first and `et al.`."""
    role = next((role for role in ("author", "editor") if entry.persons.get(role)), None)
    if role is None:
        return ""
    names = [_name(person) for person in entry.persons[role]]
    et_al = len(names) > 10 or names[-1] == "others"
    if et_al:
        names = [name for name in names if name != "others"][: 1 if len(names) > 10 else 10]
    spelled = " and ".join(filter(None, [", ".join(names[:-1]), names[-1]])) + (" et al." if et_al else "")
    return spelled + (" (ed.)" if role == "editor" else "")


def _name(person: Any) -> str:
    initials = [_plain(name)[:1] + "." for name in (*person.first_names, *person.middle_names) if _plain(name)]
    family = [_plain(name) for name in (*person.prelast_names, *person.last_names, *person.lineage_names)]
    return " ".join([*initials, *family])


def _plain(latex: str) -> str:
    """Return LaTeX as Unicode text, without commands."""
    from pybtex.richtext import Text

    return str(Text.from_latex(latex)).replace("$", "").replace("--", "–").replace("~", " ").strip()
