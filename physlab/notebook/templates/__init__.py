"""What an entry can be begun from: one file for each template."""

from __future__ import annotations

from importlib.resources import files

from physlab.errors import ValidationError, nearest

_SUFFIX = ".md"


def templates() -> list[str]:
    """Return the names of all templates."""
    found = (item.name for item in files(__name__).iterdir())
    return sorted(name.removesuffix(_SUFFIX) for name in found if name.endswith(_SUFFIX))


def template(name: str) -> str:
    """Return the text of a template: Markdown.

    Raises:
        ValidationError: There is none of that name.
    """
    known = templates()
    if name not in known:
        raise ValidationError(f"There is no template '{name[:80]}'.", hint=nearest(name, known))
    return files(__name__).joinpath(name + _SUFFIX).read_text(encoding="utf-8")
