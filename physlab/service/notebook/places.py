"""Which notebook an entry is in, or goes into."""

from __future__ import annotations

from collections.abc import Sequence

from physlab.errors import ValidationError
from physlab.lab import Lab
from physlab.notebook import notebooks, open_book
from physlab.notebook.book import Book, Page


def notebook_for(lab: Lab, notebook: str | None, runs: Sequence[str]) -> str:
    """Return the notebook that an entry goes into: the one that is named, else that of its runs, else the current one.

    Raises:
        ValidationError: A run is not there.
    """
    current = lab.settings.collaboration.session
    if notebook is not None:
        return notebook
    sessions = {lab.find_run(run).session for run in runs}
    return sessions.pop() if len(sessions) == 1 else current


def find_there(lab: Lab, name: str, notebook: str | None = None) -> tuple[Book, Page]:
    """Return a notebook and a revision in it, as `Book.find` does.

    Raises:
        ValidationError: There is none of that name; the message says in which other notebook it is.
    """
    book = open_book(lab.store, notebook or lab.settings.collaboration.session)
    try:
        return book, book.find(name)
    except ValidationError as error:
        if "missing" not in error.details:
            raise
        others = [other for other in notebooks(lab.store) if other != book.name and _has(lab, other, name)]
        if not others:
            raise
        raise ValidationError(
            f"The notebook {book.name} has no entry '{name}': it is in the notebook {', '.join(others)}.",
            hint=f"Add --notebook {others[0]}, such as: physlab notebook show {name} --notebook {others[0]}",
        ) from error


def _has(lab: Lab, notebook: str, name: str) -> bool:
    try:
        open_book(lab.store, notebook).find(name)
    except ValidationError as error:
        return "missing" not in error.details
    return True
