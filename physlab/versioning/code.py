"""The state of the code: the commit that is checked out, and what differs from it."""

from __future__ import annotations

import tempfile
from pathlib import Path

from physlab.model.version import CodeState
from physlab.store import Store
from physlab.versioning.git import ask_git

LARGEST = 1_000_000
"""A file that git does not know is kept with the differences up to this size [bytes]."""
MANY, MOST = 2000, 20_000_000
"""So many of them, and so much [bytes]."""
_DIFF = ("diff", "--cached", "--binary", "--no-color", "--no-ext-diff", "--no-textconv", "--no-renames", "HEAD")


def code_state(store: Store, folder: Path) -> CodeState:
    """Return the state of the repository that a folder lies in, with the differences kept in the store.

    Files that git does not know belong to them, unless they are ignored, large or too many: those are data.
    Outside a repository, and before its first commit, nothing is known.
    """
    root = ask_git(folder, "rev-parse", "--show-toplevel")
    commit = ask_git(folder, "rev-parse", "--verify", "HEAD")
    if root is None or commit is None:
        return CodeState()
    top = Path(root.decode().rstrip("\n"))
    name = commit.decode().strip()
    differences = _differences(top)
    if not differences:
        return CodeState(version=name[:8], commit=name, repository=str(top))
    digest, _ = store.blobs.put(differences)
    version = f"{name[:8]}+changes"
    return CodeState(version=version, commit=name, changed=True, diff=digest, repository=str(top))


def told(version: str) -> CodeState:
    """Return the state of code that somebody names."""
    return CodeState(version=version)


def read_patch(store: Store, code: CodeState) -> str:
    """Return what differed from the commit, as `git apply` takes it; '' where nothing did.

    Raises:
        StoreError: It is missing or damaged.
    """
    return store.blobs.verified(code.diff).read_bytes().decode(errors="replace") if code.diff else ""


def _differences(top: Path) -> bytes:
    """Return what differs from the commit, as `git apply` takes it; the repository and its index stay as they are."""
    status = ask_git(top, "status", "--porcelain=v1", "-z", "--untracked-files=all", "--no-renames")
    if not status:
        return b""
    changed = [item[3:].decode(errors="surrogateescape") for item in status.split(b"\0") if item]
    unknown = {item[3:].decode(errors="surrogateescape") for item in status.split(b"\0") if item.startswith(b"?? ")}
    small = _small(top, sorted(unknown))
    names = [name for name in changed if name not in unknown] + small
    objects = ask_git(top, "rev-parse", "--git-path", "objects")
    if not names or objects is None:
        return b""
    with tempfile.TemporaryDirectory() as scratch:
        (Path(scratch) / "objects").mkdir()
        environment = {
            "GIT_INDEX_FILE": f"{scratch}/index",
            "GIT_OBJECT_DIRECTORY": f"{scratch}/objects",
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": str(top / objects.decode().rstrip("\n")),
        }
        ask_git(top, "read-tree", "HEAD", environment=environment)
        paths = b"\0".join(name.encode(errors="surrogateescape") for name in names)
        ask_git(top, "--literal-pathspecs", "add", "--all", "--pathspec-from-file=-", "--pathspec-file-nul",
             environment=environment, given=paths)  # fmt: skip
        return ask_git(top, *_DIFF, environment=environment) or b""


def _small(top: Path, names: list[str]) -> list[str]:
    """Return files that may be code: small ones, and not too many or too much of them."""
    found: list[str] = []
    left = MOST
    for name in names:
        path = top / name
        size = path.stat().st_size if path.is_file() and not path.is_symlink() else LARGEST + 1
        if size <= min(LARGEST, left) and len(found) < MANY:
            found.append(name)
            left -= size
    return found
