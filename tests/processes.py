"""The processes that a test has below it."""

from __future__ import annotations

import psutil


def descendants(word: str) -> list[psutil.Process]:
    """Return the processes below this one whose command line holds a word; such as end meanwhile are no more there."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            if word in " ".join(process.cmdline()):
                found.append(process)
        except psutil.NoSuchProcess:  # a zombie too
            continue
    return found
