"""CITATION.cff: how to cite a repository (Citation File Format 1.2.0, doi:10.5281/zenodo.5171937)."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from physlab.tools.export.people import Person


def citation_file(
    title: str,
    authors: Sequence[Person],
    *,
    licence: str,
    abstract: str = "",
    keywords: Sequence[str] = (),
    released: str | None = None,
    software: bool = True,
) -> str:
    """Return the text of a CITATION.cff.

    Args:
        title: Of the work.
        authors: Who made it; when empty, "The authors of …".
        licence: SPDX identifier.
        abstract: One or more sentences.
        keywords: Keywords.
        released: YYYY-MM-DD, when it is known.
        software: False for a data set.
    """
    from ruamel.yaml import YAML

    found: dict[str, Any] = {
        "cff-version": "1.2.0",
        "message": "If you use this work, please cite it as below.",
        "type": "software" if software else "dataset",
        "title": title,
        "authors": [_author(person) for person in authors] or [{"name": f"The authors of {title}"}],
        "license": licence,
    }
    optional = {"abstract": abstract, "keywords": list(keywords), "date-released": released}
    stream = io.StringIO()
    yaml = YAML()
    yaml.default_flow_style = False
    yaml.width = 100
    yaml.dump(found | {key: value for key, value in optional.items() if value}, stream)
    return stream.getvalue()


def _author(person: Person) -> dict[str, str]:
    family, given = person.names
    named = {"family-names": family, "given-names": given} if given else {"name": family}
    orcid = f"https://orcid.org/{person.orcid}" if person.orcid else ""
    more = {"affiliation": person.affiliation or "", "email": person.email or "", "orcid": orcid}
    return named | {key: value for key, value in more.items() if value}
