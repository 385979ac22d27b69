"""Files of another repository of DVC as inputs of experiments: checked, kept, and with their origin in the ledger."""

from __future__ import annotations

import json
import re
import tempfile
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

from physlab.dvcrepo.programs import Git, run_own
from physlab.errors import ComputationError, StoreError, ValidationError
from physlab.keys import sha256_and_md5
from physlab.lab import Lab
from physlab.service.dvc import repository_of

KIND = "dvc_import"


def import_data(lab: Lab, url: str, path: str, target: Path, revision: str = "") -> list[dict[str, Any]]:
    """Bring a file or folder that DVC tracks elsewhere; each file is complete or absent.

    Args:
        lab: The lab.
        url: The other repository: a folder, or an address that Git takes.
        path: The file or folder in it.
        target: Where to show it; nothing may be there.
        revision: A commit, branch or tag of it; empty for the latest.

    Returns:
        One entry for each file: url, revision, path, md5, sha256, size and file.

    Raises:
        ValidationError: Something is there already, or DVC does not track what is named.
        StoreError: A file does not have the MD5 that its repository says.
        ComputationError: It cannot be reached, or there is no such path.
    """
    if target.exists():
        raise ValidationError(f"'{target}' is there already.", hint="Name another one with --out, or remove it.")
    if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
        raise ValidationError(f"'{path}' is no path inside a repository.", hint="Such as data/sky.csv.")
    own = repository_of(lab).own
    own.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="import-", dir=own.parent) as folder:
        said = _bring(url, path, revision, Path(folder), own)
        found = [json.loads(line) for line in said.splitlines()]
        if not found:
            raise ValidationError(f"'{path}' holds no files.", hint=f"See what there is: dvc list {_bare(url)}")
        made = [_take(lab, url, one, Path(folder)) for one in found]
    for entry in made:
        inside = PurePosixPath(entry["path"]).relative_to(path)
        file = target / inside if inside.parts else target
        lab.store.blobs.export(entry["sha256"], file)
        entry["file"] = str(file)
        lab.store.append(KIND, {"kind": KIND, **{name: value for name, value in entry.items() if name != "file"}})
    lab.store.flush()
    return made


def _bring(url: str, path: str, revision: str, folder: Path, own: Path) -> str:
    """Have DVC bring what is asked for into a folder; everything temporary lies there, too."""
    if not _is_address(url) and not Path(url).is_dir():
        raise ValidationError(
            f"There is no repository '{url}': it is no folder here.", hint="Give its folder, or an address: https://…"
        )
    (folder / ".scratch").mkdir()
    try:
        source, commit = _clone(url, revision, folder) if _is_address(url) else (_address(url), revision)
        words = ["physlab.dvcrepo.bringing", source, path, commit, str(folder)]
        return run_own(folder, own, words, scratch=folder / ".scratch")
    except ComputationError as error:
        where = f" at '{revision}'" if revision else ""
        raise ComputationError(
            f"'{path}' cannot be brought from {_bare(url)}{where}: {error.message}",
            hint=f"See whether it is there: dvc list {_bare(url)}{f' --rev {revision}' if revision else ''}",
        ) from error


def _take(lab: Lab, url: str, found: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Check a file that was brought, and keep it."""
    if not found["md5"]:
        raise ValidationError(
            f"DVC does not track '{found['path']}' of {_bare(url)}.", hint="Git has it: clone the repository."
        )
    with open(folder / found["path"], "rb") as stream:
        sha256, md5, size = sha256_and_md5(stream)
    if md5 != found["md5"]:
        raise StoreError(
            f"'{found['path']}' of {_bare(url)} is damaged: its MD5 is {md5}, not {found['md5']}.",
            hint="Tell whoever keeps its remote; nothing was taken.",
        )
    lab.store.blobs.put(folder / found["path"])
    now = datetime.now(UTC).isoformat()
    ids = {"md5": md5, "sha256": sha256, "size": size}
    return {"url": _bare(url), "revision": found["revision"], "path": found["path"], **ids, "imported_at": now}


def _clone(url: str, revision: str, folder: Path) -> tuple[str, str]:
    """Clone a repository with Git itself, which checks the keys of hosts; return the clone and the commit meant."""
    allowed = {"GIT_ALLOW_PROTOCOL": "https:http:ssh:git:file"}  # others start programs
    Git(folder).run("clone", "--quiet", "--no-checkout", "--", url, ".clone", environment=allowed)
    git = Git(folder / ".clone")
    for name in (revision, f"origin/{revision}") if revision else ("HEAD",):
        done = git.ask("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
        if done.returncode == 0:
            return str(git.folder), done.stdout.decode().strip()
    raise ValidationError(
        f"{_bare(url)} has no commit, branch or tag '{revision}'.", hint=f"See: git ls-remote {_bare(url)}"
    )


def _is_address(url: str) -> bool:
    return "://" in url or re.match(r"[^/]+@[^/]+:", url) is not None


def _address(url: str) -> str:
    return url if _is_address(url) else str(Path(url).absolute())


def _bare(url: str) -> str:
    """Return an address without a user and password."""
    return re.sub(r"://[^/@]*@", "://", _address(url))


def imports(lab: Lab) -> list[dict[str, Any]]:
    """Return what the ledger knows of imported files, oldest first."""
    lab.store.refresh()
    return lab.store.records_of(KIND)
