"""The full texts of the licences that a repository can have.

Apache-2.0 and GPL-3.0 as published by their stewards, CC BY 4.0 as Creative Commons' plain text (whose text is in the
public domain, CC0), MIT and BSD-3-Clause as the Open Source Initiative lists them.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Literal

Licence = Literal["MIT", "Apache-2.0", "GPL-3.0", "BSD-3-Clause", "CC-BY-4.0"]


def licence_text(licence: Licence, holder: str, year: int | None = None) -> str:
    """Return the full text of a licence.

    Args:
        licence: SPDX identifier.
        holder: Who holds the copyright; stands in MIT and BSD-3-Clause, the others are the same for everybody.
        year: Year of the copyright; left out when it is not known.
    """
    text = files("physlab.tools.export").joinpath("licences", f"{licence}.txt").read_text(encoding="utf-8")
    return text.replace("{year} ", f"{year} " if year else "").replace("{holder}", holder)
