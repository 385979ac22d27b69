"""Which Python a site uses: the one that its settings name, or the environment that was brought there from here."""

from __future__ import annotations

import contextlib
import json
import shlex
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from physlab.errors import ConfigurationError
from physlab.settings import SlurmSiteSettings
from physlab.sites.environment.inventory import Choice, Pack, differences, pack
from physlab.sites.environment.reach import UNSET, after_prologue
from physlab.sites.slurm.commands import Run

_LIST = """
cd "$1" 2>/dev/null || exit 0
for name in $(ls -t); do test -f "$name/environment.json" && cat "$name/environment.json"; done
exit 0
"""
SHOWN = 4


@dataclass(frozen=True)
class Chosen:
    """The Python of a site.

    Attributes:
        python: Its path there.
        about: What is known of its environment; empty for one that was not brought from here.
    """

    python: str
    about: dict[str, Any]

    def start(self, settings: SlurmSiteSettings, words: Sequence[str]) -> list[str]:
        """Return the command that runs it with some words on the login node."""
        if not self.about:
            return [self.python, *words]
        unset = [word for name in UNSET for word in ("-u", name)]
        return after_prologue(settings.prologue, ["env", *unset, self.python, *words])

    def prologue(self, settings: SlurmSiteSettings) -> list[str]:
        """Return the shell lines before a pilot."""
        return [*settings.prologue, *([f"unset {' '.join(UNSET)}"] if self.about else [])]

    def comment(self, text: str) -> str:
        """Return the comment of its jobs, by which it is known which environments are in use."""
        return f"{text} environment {self.about['digest']}".strip() if self.about else text


def environments(run: Run, folder: Path) -> list[dict[str, Any]]:
    """Return what is known of the environments of a site, the newest first."""
    return list(_read(run(("sh", "-c", _LIST, "sh", str(folder / "environments")), "").stdout))


def _read(text: str) -> Iterator[dict[str, Any]]:
    for line in text.splitlines():
        with contextlib.suppress(ValueError):
            if isinstance(found := json.loads(line), dict) and "digest" in found:
                yield found


def choose_python(name: str, settings: SlurmSiteSettings, folder: Path, run: Run) -> Chosen:
    """Return the Python of a site: the one in its settings, or the environment that is the one here.

    Where none was ever brought there, it is `python3` behind a host, else the Python that runs here.

    Raises:
        ConfigurationError: Environments were brought there, and the one here is none of them any more.
    """
    if settings.python is not None:
        return Chosen(settings.python, {})
    known = environments(run, folder)
    if not known:
        return Chosen("python3" if settings.host else sys.executable, {})
    packs: dict[Choice, Pack] = {}
    for about in known:
        choice = Choice.model_validate(about["choice"])
        if choice not in packs:
            packs[choice] = pack(choice)
        if packs[choice].digest == about["digest"]:
            return Chosen(str(folder / "environments" / about["digest"] / "bin" / "python"), about)
    newest = known[0]
    changed = differences(newest["packages"], packs[Choice.model_validate(newest["choice"])].brief())
    more = f", and {len(changed) - SHOWN} more" if len(changed) > SHOWN else ""
    raise ConfigurationError(
        f"The environment here changed since it was brought to {name}: {', '.join(changed[:SHOWN])}{more}.",
        hint=f"Bring what changed: {install_command(name, newest['choice'])}",
    )


def install_command(name: str, choice: dict[str, Any]) -> str:
    """Return the command that brings the environment of here to a site, as it was asked for before."""
    words = ["physlab", "site", "install", name]
    words += [word for one in choice.get("add", ()) for word in ("--with", one)]
    words += [word for one in choice.get("leave_out", ()) for word in ("--without", one)]
    return shlex.join(words)
