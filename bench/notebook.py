"""The lab notebook at 10,000 signed entries: open, list, show, add, verify, export, verify the export.

    python bench/notebook.py [--entries 10000] [--folder /var/tmp]

Prints seconds of one run side by side, and the seconds that its processors worked. Everything is made anew in a
folder that is removed.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from physlab import service
from physlab.keys import canonical, digest_bytes
from physlab.lab import Lab
from physlab.model.notebook import Attachment, Entry
from physlab.notebook import open_book
from physlab.notebook.book import Page
from physlab.notebook.export import export, verify_export
from physlab.notebook.signatures import make_signature
from physlab.service.notebook.people import register_of
from physlab.service.notebook.write import Wish, add_entry
from physlab.settings import load_settings
from physlab.signing import SecretKey, make_secret

TEXT = "The levels of hydrogen are $E_n = -R/n^2$, with $R = 13.6$ eV.\n\n" * 8


def timed(what: str, act: Callable[[], Any], count: int = 1) -> Any:
    """Do something, with the disk in order before, and say how long it took."""
    os.sync()
    begun, worked = time.perf_counter(), time.process_time()
    done = act()
    took, worked = time.perf_counter() - begun, time.process_time() - worked
    each = f"{took / count * 1e3:9.2f} ms each" if count > 1 else ""
    print(f"{what:<52} {took:8.3f} s, {worked:7.3f} s of CPU {each}", flush=True)
    return done


def fill(lab: Lab, secret: SecretKey, count: int) -> None:
    """Write a notebook of entries that their author signed, each hundredth with a file, in one piece."""
    heads: tuple[str, ...] = ()
    records: list[tuple[str, dict[str, Any]]] = []
    moment = datetime.now(UTC) - timedelta(days=365)
    for number in range(count):
        moment += timedelta(seconds=30)
        files: tuple[Attachment, ...] = ()
        if number % 100 == 0:
            sha256, size = lab.store.blobs.put(b"n,E\n%d,-13.6\n" % number)
            files = (Attachment(sha256=sha256, name="levels.csv", media_type="text/csv", size=size),)
        told = {
            "notebook": "lab", "previous": heads, "at": moment.isoformat(), "entry_id": f"{number:016x}",
            "revision": 1, "title": f"Entry {number}", "content": TEXT, "author": "ada", "tags": ("hydrogen",),
            "attachments": files,
        }  # fmt: skip
        entry = Entry.model_validate(told)
        spelled = canonical(entry.model_dump(mode="json"))
        page = Page(digest_bytes(spelled), entry)
        made = make_signature(page, spelled, (page.record,), "ada", secret, "author", moment.isoformat())
        said = made.model_dump(mode="json")
        records += [(entry.kind, entry.model_dump(mode="json")), (made.kind, said)]
        heads = (digest_bytes(canonical(said)),)
    lab.store.append_all(records)
    lab.store.flush()


@contextlib.contextmanager
def scratch(where: str) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="physlab-bench-", dir=where))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=10_000)
    parser.add_argument("--folder", default="/var/tmp")  # noqa: S108 - a file system of the user's choice
    asked = parser.parse_args()
    secret, count = make_secret(), asked.entries
    with scratch(asked.folder) as folder:
        paths = {"home": str(folder / "home"), "collaboration.person": "ada"}
        with Lab(load_settings(folder, paths, environ={"HOME": str(folder)})) as lab:
            register_of(lab.settings).trust("ada", secret.public)
            timed(f"{count} entries written and signed in one piece", lambda: fill(lab, secret, count), count)
            book = timed("open", lambda: open_book(lab.store, "lab"))
            timed("list the last 30", lambda: service.list_entries(lab, limit=30))
            timed("show one", lambda: service.show_entry(lab, f"{count // 2:016x}"))
            timed("add one", lambda: add_entry(lab, Wish("One more"), folder))
            found = timed("verify: chain, signatures, keys, files", lambda: service.verify_notebook(lab))
            assert found["ok"] and found["signatures"] == count, found
            timed("export as a folder", lambda: export(lab.store, book, folder / "out", secret, "ada"))
            known = register_of(lab.settings).trusted()
            checked = timed("verify the export", lambda: verify_export(folder / "out", known))
            assert checked.problem == "", checked.problem


if __name__ == "__main__":
    main()
