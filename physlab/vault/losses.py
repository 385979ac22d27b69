"""What of a locked lab cannot be opened: named, and kept aside as it was found.

home/damaged/PATH.age    the sealed file as it is on the disk
home/damaged/PATH.begin  what of it could be opened: age verifies each 64 KiB, so that this much is as it was
home/damaged/lost.json   which files, and why
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Collection
from pathlib import Path

FOLDER = "damaged"
LIST = "lost.json"


class Losses:
    """The losses of one opening.

    Args:
        vault: The vault; what is kept goes below its `open`, and with that into the home.
        why: Reasons by path in the home.
        taken: Names in the home that are something else.
    """

    def __init__(self, vault: Path, why: dict[str, str], taken: Collection[str] = ()) -> None:
        self.vault, self.why = vault, why
        names = (FOLDER, *(f"{FOLDER}-{number}" for number in range(2, len(taken) + 3)))
        self.folder = next(name for name in names if name not in taken)

    def keep(self, path: str, sealed: str, why: str) -> None:
        """Note that a file is lost, and keep what there is of it.

        Args:
            path: Its path in the home.
            sealed: The name of its sealed file.
            why: What is wrong with it.
        """
        self.why[path] = why
        aside = self.vault / "open" / self.folder / path
        aside.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            os.link(self.vault / "sealed" / sealed, aside.with_name(f"{aside.name}.age"))
        begin = self.vault / "open" / path
        if begin.is_file() and begin.stat().st_size:
            os.replace(begin, aside.with_name(f"{aside.name}.begin"))
        begin.unlink(missing_ok=True)

    def write_down(self) -> None:
        """Write which files are lost beside what is left of them."""
        if self.why:
            text = json.dumps(self.why, indent=2, ensure_ascii=False) + "\n"
            (self.vault / "open" / self.folder / LIST).write_text(text, encoding="utf-8")
