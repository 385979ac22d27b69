"""A git repository with one commit, made and pushed by the git command line; the same content gives the same bytes."""

from __future__ import annotations

import base64
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from physlab.errors import ComputationError, ConfigurationError, ResourceError, ValidationError
from physlab.settings import child_environment
from physlab.tools.process import find_program, run_process
from physlab.tools.workcopy import tail

BRANCH = "main"


@dataclass(frozen=True)
class Signature:
    """Who made a commit, and when."""

    name: str
    email: str
    moment: str

    def environment(self) -> dict[str, str]:
        """Return it as git reads it."""
        at = datetime.fromisoformat(self.moment)
        offset = at.strftime("%z")
        stamp = f"@{int(at.timestamp())} {offset}"
        return {
            f"GIT_{who}_{what}": value
            for who in ("AUTHOR", "COMMITTER")
            for what, value in (("NAME", self.name), ("EMAIL", self.email), ("DATE", stamp))
        }


class Repository:
    """A repository in a folder of its own.

    Args:
        folder: Where it is, or will be.
        log: Takes what git prints.
        limit_s: Time for one command [s].
    """

    def __init__(self, folder: Path, log: Path, limit_s: float) -> None:
        self.folder, self.log, self.limit_s = folder, log, limit_s
        if find_program(["git"]) is None:
            raise ConfigurationError("git is not installed.", hint="Install git, or use another export.")

    def commit(self, files: Mapping[str, Path | bytes | str], message: str, signature: Signature) -> str:
        """Write files, commit them, and return the commit's hash.

        Raises:
            ComputationError: git fails.
        """
        self.folder.mkdir(parents=True)
        for name, source in files.items():
            target = self.folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(source, Path):
                shutil.copyfile(source, target)
            else:
                target.write_bytes(source.encode() if isinstance(source, str) else source)
        self._must("init", "--quiet", "--template=", f"--initial-branch={BRANCH}", ".")
        for name, value in (("core.logAllRefUpdates", "false"), ("core.autocrlf", "false")):
            self._must("config", name, value)
        self._must("add", "--all", "--force", ".")
        self._must("commit", "--quiet", "--no-verify", "--message", message, environment=signature.environment())
        (self.folder / ".git" / "index").unlink()  # it holds times and inodes; read-tree makes one without
        self._must("read-tree", "HEAD")
        (self.folder / ".git" / "COMMIT_EDITMSG").unlink(missing_ok=True)
        return (self.folder / ".git" / "refs" / "heads" / BRANCH).read_text().strip()

    def contents(self) -> dict[str, Path]:
        """Return every file of the folder, `.git` included, by relative name."""
        found = sorted(path for path in self.folder.rglob("*") if path.is_file())
        return {path.relative_to(self.folder).as_posix(): path for path in found}

    def push(self, url: str, token: str) -> None:
        """Push the branch; never by force, and without the token in arguments, files or the log.

        Raises:
            ConfigurationError: The token is refused.
            ValidationError: There is other work on that branch already.
            ResourceError: The server cannot be reached or refuses.
        """
        before = self.log.stat().st_size if self.log.exists() else 0
        login = base64.b64encode(f"x-access-token:{token}".encode()).decode()
        secret = {
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": f"http.{url}.extraHeader",
            "GIT_CONFIG_VALUE_0": f"Authorization: Basic {login}",
        }
        words = ("-c", "http.followRedirects=false", "-c", "credential.helper=", "push", "--porcelain", url)
        code = self._run(*words, f"{BRANCH}:refs/heads/{BRANCH}", environment=secret)
        said = tail(self.log)[-4000:] if before < self.log.stat().st_size else ""
        if code:
            raise _refused(said.replace(token, "***").replace(login, "***"), url)

    def _must(self, *words: str, environment: Mapping[str, str] | None = None) -> None:
        if code := self._run(*words, environment=environment):
            said = " ".join(tail(self.log).split())[-300:]
            raise ComputationError(f"git {words[0]} ended with {code}: {said}.", hint="Is git older than 2.31?")

    def _run(self, *words: str, environment: Mapping[str, str] | None = None) -> int:
        sealed = {
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ASKPASS": "",
            "LC_ALL": "C",
            **(environment or {}),
        }
        return run_process(
            ["git", "-c", "core.attributesFile=/dev/null", *words],  # it may rewrite line ends, and with them the hash
            cwd=self.folder,
            env=child_environment(sealed, drop_prefix="GIT_"),
            log=self.log,
            limit_s=self.limit_s,
        )


_REASONS: tuple[tuple[tuple[str, ...], Callable[[str], ValidationError | ConfigurationError]], ...] = (
    (
        ("non-fast-forward", "fetch first", "[rejected]"),
        lambda url: ValidationError(
            f"{url} holds other work on '{BRANCH}' already, and nothing is overwritten.",
            hint="Choose another repository_name, or merge by hand.",
        ),
    ),
    (
        ("Authentication failed", "could not read Username", "403", "401", "Permission to"),
        lambda url: ConfigurationError(
            f"{url} refuses the token.", hint="Give export.github_token the right to write contents."
        ),
    ),
)


def _refused(said: str, url: str) -> ValidationError | ConfigurationError | ResourceError:
    for signs, make in _REASONS:
        if any(sign in said for sign in signs):
            return make(url)
    words = " ".join(said.split())[-300:]
    return ResourceError(f"The push to {url} failed: {words}", hint="Run again; a push that arrived is found.")
