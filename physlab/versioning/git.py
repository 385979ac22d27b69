"""Questions to git about a repository of the user's: nothing in it is changed, and no program that it names is run."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

from physlab.settings import child_environment

LONGEST_S = 60.0
_QUIET = ("-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-c", "core.quotePath=false")


def ask_git(
    folder: Path, *words: str, environment: Mapping[str, str] | None = None, given: bytes = b""
) -> bytes | None:
    """Return what git says; None where there is no git, no repository, or no answer.

    Args:
        folder: Where it is asked.
        words: The command.
        environment: Variables of git that it is to find; it finds no others.
        given: What it reads.
    """
    variables = child_environment({"GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C", **(environment or {})}, drop_prefix="GIT_")
    try:
        done = subprocess.run(
            ["git", *_QUIET, *words], cwd=folder, env=variables, input=given, capture_output=True, timeout=LONGEST_S,
            check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
