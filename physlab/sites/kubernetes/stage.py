"""What runs in a job's pod before and after the user's container: inputs are fetched, what was made is kept.

It needs physlab's image, the store and nothing else: `python -m physlab.sites.kubernetes.stage fetch|keep …`.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from physlab.errors import ComputationError, PhyslabError, StoreError
from physlab.sites.files import SharedFiles, Wish
from physlab.sites.kubernetes.exchange import Exchange
from physlab.sites.kubernetes.reasons import UNMADE
from physlab.store.blobs import Blobs

LOG = "log.txt"
"""What the log is called where the job's files are brought to; a file of this name is not."""


def inputs_name(token: str) -> str:
    """Return where the list of a job's inputs lies in the exchange."""
    return f"jobs/{token}/inputs.json"


def made_name(job: str, index: int | None) -> str:
    """Return where the list of what a job made lies in the exchange."""
    return f"jobs/{job}/made{'' if index is None else f'-{index}'}.json"


def fetch(exchange: Exchange, blobs: Blobs, token: str, folder: Path) -> None:
    """Lay a job's inputs into its folder, each checked against its SHA-256.

    Raises:
        StoreError: One is not there, or not what it was.
    """
    listed = _listed(exchange, token)
    for name, (digest, executable) in listed.items():
        if not exchange.get(blobs, digest):
            raise StoreError(f"The input '{name}' ({digest[:12]}…) is not in {exchange.url}.", hint="Submit it again.")
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(blobs.path(digest), target)
        target.chmod(0o755 if executable else 0o644)


def keep(exchange: Exchange, blobs: Blobs, given: argparse.Namespace, folder: Path) -> None:
    """Bring what a job made to the exchange, and last of all the list of it.

    Raises:
        ComputationError: A file that had to be there is not.
    """
    unmade = [name for name in given.makes if not (folder / name).exists()]
    if unmade:
        raise ComputationError(f"the job ended without making {unmade[0]}")
    if linked := [name for name in given.makes if not _is_own(folder, name) and not (folder / name).is_dir()]:
        raise ComputationError(f"{linked[0]} is a link, and only files of the job's own are kept")
    inputs = frozenset((LOG, *_listed(exchange, given.token)))
    record: dict[str, Any] = {}
    [found] = SharedFiles().bring([Wish(folder, given.wanted, inputs, folder)])
    if isinstance(found, ComputationError):  # the folder goes with the pod: all that was made is kept instead
        record["error"] = {"message": found.message}
        [found] = SharedFiles().bring([Wish(folder, ".", inputs, folder)])
    if isinstance(found, ComputationError):
        found = {}
    found |= {name: folder / name for name in given.makes if _is_own(folder, name)}
    record["files"] = {name: _kept(exchange, blobs, path) for name, path in found.items()}
    exchange.write(made_name(given.job, given.index), json.dumps(record).encode())


def _is_own(folder: Path, name: str) -> bool:
    """Say whether a file is of the job's own making; a link may lead to what is ours, such as the keys of the store."""
    path = folder / name
    return path.is_file() and not path.is_symlink() and path.resolve().is_relative_to(folder.resolve())


def _kept(exchange: Exchange, blobs: Blobs, path: Path) -> dict[str, Any]:
    digest, size = blobs.put(path)
    exchange.put(blobs, digest)
    blobs.path(digest).unlink()  # one file of theirs at a time is here twice
    return {"sha256": digest, "size": size}


def _listed(exchange: Exchange, token: str) -> dict[str, tuple[str, bool]]:
    text = exchange.read(inputs_name(token))
    if text is None:
        raise StoreError(f"The list of inputs is not in {exchange.url}.", hint="Do both sides name the same store?")
    return {name: (item["sha256"], item["executable"]) for name, item in json.loads(text).items()}


def main(words: list[str] | None = None) -> int:
    """Do one of the two; say on stderr what went wrong, which becomes the container's last message."""
    parser = argparse.ArgumentParser(prog="physlab.sites.kubernetes.stage")
    parser.add_argument("step", choices=("fetch", "keep"))
    for name in ("--store", "--token"):
        parser.add_argument(name, required=True)
    for name in ("--endpoint", "--job"):
        parser.add_argument(name)
    parser.add_argument("--index", type=int)
    parser.add_argument("--wanted", default=".")
    parser.add_argument("--makes", action="append", default=[])
    given = parser.parse_args(words)
    with tempfile.TemporaryDirectory() as scratch:
        blobs = Blobs(Path(scratch))
        blobs.create()
        try:
            exchange = Exchange(given.store, given.endpoint)
            if given.step == "fetch":
                fetch(exchange, blobs, given.token, Path.cwd())
            else:
                keep(exchange, blobs, given, Path.cwd())
        except PhyslabError as error:
            sys.stderr.write(f"{error}\n")
            return UNMADE if isinstance(error, ComputationError) else 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
