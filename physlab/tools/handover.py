"""What a user's function returned, as fields of a reply: numbers and arrays stay, figures and files are kept."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from physlab.errors import ComputationError, ValidationError
from physlab.tools.context import Context
from physlab.tools.workcopy import ROLE_OF, to_json

_FIELD = re.compile(r"[A-Za-z0-9_-]+")


def hand_over(
    value: Any, context: Context, folder: Path | None, label: str, *, lone: str = "result", taken: Collection[str] = ()
) -> dict[str, Any]:
    """Return what a function returned as named fields.

    Args:
        value: A mapping, of which each item is a field, or anything else, which becomes the field `lone`. Arrays stay
            arrays; a Matplotlib figure is kept as PNG and SVG; a `pathlib.Path` names a file in `folder`.
        context: Keeps figures and files.
        folder: Where the function ran; None is the scratch folder of the call.
        label: The function, for messages and captions.
        lone: Name of the field of what is no mapping.
        taken: Names that no field may have.

    Raises:
        ComputationError: A field has no name that a reference can spell, or a value cannot be kept.
    """
    named = dict(value) if isinstance(value, Mapping) else {lone: value}
    for name in named:
        if not isinstance(name, str) or not _FIELD.fullmatch(name) or name in taken:
            raise ComputationError(
                f"{label} returned a field called {name!r}, which a reference cannot spell or which is taken.",
                hint="Name the items of the mapping with letters, digits, '_' or '-'"
                + (f"; {' and '.join(map(repr, taken))} are taken." if taken else "."),
            )
    return {name: _leave(item, name, context, folder, label) for name, item in named.items()}


def _leave(value: Any, name: str, context: Context, folder: Path | None, label: str) -> Any:
    if isinstance(value, np.ndarray) and value.ndim:
        if value.dtype.kind not in "biufc":
            raise ComputationError(
                f"The field '{name}' of {label} is an array of {value.dtype}.", hint="Return an array of numbers."
            )
        return value
    if isinstance(value, Path):
        folder = context.workdir.resolve() if folder is None else folder
        path = folder / value
        if not path.resolve().is_relative_to(folder) or not path.is_file():
            raise ComputationError(
                f"The field '{name}' of {label} is a path to no file in its working folder: {value}.",
                hint="Write the file into the current folder (also given as 'workdir') and return its path.",
            )
        relative = path.resolve().relative_to(folder).as_posix()
        role = ROLE_OF.get(path.suffix.lower(), "data")
        return context.save(path, relative, role=role, caption=f"{relative}, written by {label}.", field=name)
    if _is_figure(value):
        from physlab.tools.figures import save_static

        return save_static(context, value, name, _caption(value, name, label), png_field=name)[name]
    try:
        return to_json(value, f"the field '{name}' of {label}")
    except ValidationError as error:
        raise ComputationError(error.message, hint=error.hint) from error


def _is_figure(value: Any) -> bool:
    return type(value).__module__ == "matplotlib.figure" and hasattr(value, "savefig")


def _caption(figure: Any, name: str, label: str) -> str:
    titles = [figure.get_suptitle(), *(axes.get_title() for axes in figure.axes)]
    title = next(filter(None, titles), name.replace("_", " "))
    return f"{title}, drawn by {label}."
