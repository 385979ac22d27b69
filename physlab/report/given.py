"""What people add to a report: the lab's logo, and files of references."""

from __future__ import annotations

from pathlib import Path

from physlab.errors import ConfigurationError, ValidationError


def logo(path: Path | None) -> bytes:
    """Return the lab's logo, nothing when it has none.

    Raises:
        ConfigurationError: It cannot be read, or is no picture.
    """
    if path is None:
        return b""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"report.logo = '{path}' cannot be read: {error.strerror or error}.", hint="Correct it, or leave it out."
        ) from error
    if not content.startswith(b"\x89PNG") and b"<svg" not in content[:2000]:
        raise ConfigurationError(f"report.logo = '{path}' is neither PNG nor SVG.", hint="Save the logo as PNG.")
    return content


def bibliography(item: str, base_dir: Path | None = None) -> str:
    """Return BibTeX entries, given as they are or as the path of a file.

    Args:
        item: One of the two.
        base_dir: Where relative paths start; default: the working folder.

    Raises:
        ValidationError: The file cannot be read.
    """
    if "@" in item and "{" in item:
        return item
    try:
        return ((base_dir or Path()) / item).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ValidationError(
            f"The bibliography '{item}' cannot be read: {error}.",
            hint="Give BibTeX entries, or the path of a .bib file.",
        ) from error
