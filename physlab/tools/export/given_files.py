"""Files that a user gives as a list of paths and globs, or by name."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from physlab.errors import ValidationError
from physlab.tools.types import File
from physlab.tools.workcopy import check_relative

_GLOB = re.compile(r"[*?\[]")


def expand_files(raw: Mapping[str, Any], base_dir: Path, fields: Iterable[str]) -> dict[str, Any]:
    """Return raw parameters in which globs became the files they match; references stay.

    Raises:
        ValidationError: A glob matches no file.
    """
    found = dict(raw)
    for field in fields:
        if isinstance(found.get(field), list | tuple):
            found[field] = [path for item in found[field] for path in _matches(item, base_dir, field)]
    return found


def _matches(item: Any, base_dir: Path, field: str) -> list[Any]:
    if not isinstance(item, str) or item.startswith("from:") or not _GLOB.search(item):
        return [item]
    pattern = str(base_dir / Path(item).expanduser())
    paths = [os.path.normpath(path) for path in sorted(glob.glob(pattern, recursive=True)) if Path(path).is_file()]
    if not paths:
        raise ValidationError(f"{field}: no file matches '{item}' in {base_dir}.", hint="Check the pattern.")
    return paths


def named_files(given: Mapping[str, File] | Iterable[File], field: str) -> dict[str, File]:
    """Return files by the name they shall have.

    Raises:
        ValidationError: Two files get one name, a name leads out of the folder, or a file is not there.
    """
    pairs = list(given.items()) if isinstance(given, Mapping) else [(file.name, file) for file in given]
    found: dict[str, File] = {}
    for name, file in pairs:
        try:
            check_relative(name)
        except ValueError as error:
            raise ValidationError(f"{field}: {error}.", hint="Use a mapping name → path.") from error
        if name.lower() in (known.lower() for known in found):
            raise ValidationError(f"{field}: two files are called '{name}'.", hint="Use a mapping name → path.")
        if not file.path.is_file():
            raise ValidationError(f"{field}: '{file.path}' is not a file.", hint="Check the path.")
        found[name] = file
    return found
