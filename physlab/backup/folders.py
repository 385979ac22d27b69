"""Folders and git repositories that are to be saved besides the lab."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from physlab.errors import ConfigurationError, StoreError
from physlab.settings import child_environment
from physlab.tools.process import find_program, run_process

LIMIT_S = 3600.0


@dataclass(frozen=True)
class Also:
    """A folder that is saved as well.

    Attributes:
        name: Its name in the backup, below `also`.
        path: Where it lies, when it is sent from there; empty for a bundle, which is laid ready.
        words: What to tell people.
    """

    name: str
    path: str
    words: str


def lay_folders(paths: Sequence[Path], target: Path) -> list[Also]:
    """Bundle the git repositories, and name the plain folders.

    Raises:
        ConfigurationError: One is not there, or git is missing.
        StoreError: A bundle cannot be made.
    """
    found: list[Also] = []
    for path in paths:
        if not path.is_dir():
            raise ConfigurationError(
                f"backup.also names {path}, which is not a folder.", hint="Correct it in physlab.toml: [backup] also."
            )
        name = _free_name(path, {item.name for item in found})
        if _has_commits(path):
            target.mkdir(mode=0o700, exist_ok=True)
            _git(path, ["bundle", "create", "--quiet", str(target / f"{name}.bundle"), "--all"])
            found.append(Also(f"{name}.bundle", "", f"the git repository {path} (what is committed)"))
        else:
            found.append(Also(name, str(path.resolve()), f"the folder {path}"))
    return found


def _free_name(path: Path, taken: set[str]) -> str:
    base = path.resolve().name or "root"
    names = (base, *(f"{base}-{number}" for number in range(2, 1000)))
    return next(name for name in names if name not in taken and f"{name}.bundle" not in taken)


def _has_commits(path: Path) -> bool:
    """Say whether a folder is the root of a git repository with something in it."""
    bare = (path / "HEAD").is_file() and (path / "objects").is_dir()
    if not ((path / ".git").exists() or bare):
        return False
    return _run_git(path, ["rev-parse", "--quiet", "--verify", "HEAD"])[0] == 0 or bool(
        _run_git(path, ["for-each-ref", "--count=1"])[1].strip()
    )


def _git(path: Path, words: Sequence[str]) -> None:
    code, said = _run_git(path, words)
    if code:
        raise StoreError(
            f"The git repository {path} could not be bundled: {' '.join(said.split())[-500:]}.",
            hint=f"Look with: git -C {path} fsck",
        )


def _run_git(path: Path, words: Sequence[str]) -> tuple[int, str]:
    program = find_program(["git"])
    if program is None:
        raise ConfigurationError("git is not installed, and backup.also names a repository.", hint="apt install git")
    env = child_environment({"GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0"}, drop_prefix=("GIT_", "PHYSLAB_"))
    with tempfile.TemporaryDirectory(prefix="physlab-git-") as scratch:
        log = Path(scratch) / "log"
        # A repository of another owner is read all the same: it was named by who set the lab up.
        argv = [program, "-c", f"safe.directory={path}", "-C", str(path), *words]
        code = run_process(argv, cwd=Path(scratch), env=env, log=log, limit_s=LIMIT_S)
        return code, log.read_text(errors="replace")
