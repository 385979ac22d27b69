"""Commands on another machine through the user's own OpenSSH: one connection for many commands, no password ever."""

from __future__ import annotations

import re
import shlex
import socket
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from physlab.errors import ConfigurationError, ResourceError
from physlab.settings import child_environment

PATIENCE_S = 60.0
KEEP_S = 60  # an idle connection stays open so long
_HOST = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._@:%-]{0,253}")
_LOST = 255  # what ssh itself ends with; a command may end with it too, so its words count
_BROKEN = re.compile(r"^(ssh:|kex_exchange|Host key verification|.*Permission denied|.*[Cc]onnection .*closed)", re.M)


class SshRun:
    """Runs commands on a host; may stand where `run_here()` stands.

    Host names, users, keys and jumps are those of the user's `~/.ssh/config`; a connection that he opened himself with
    `ControlMaster`, behind a second factor for instance, is used as it is.

    Args:
        host: Name for ssh, `user@host` or an alias.
        environment: Variables that the commands find there.
        config: Another file than `~/.ssh/config`.
    """

    def __init__(self, host: str, environment: Mapping[str, str] | None = None, config: Path | None = None) -> None:
        if not _HOST.fullmatch(host):
            raise ConfigurationError(f"'{host}' is not the name of a host.", hint="Write host, or user@host.")
        self.host = host
        self._environment = dict(environment or {})
        self._sockets = tempfile.TemporaryDirectory(prefix="physlab-ssh-")
        options = ["BatchMode=yes", "ConnectTimeout=15", "ServerAliveInterval=15", "ServerAliveCountMax=3"]
        if not self._has_own_master(config):
            options += ["ControlMaster=auto", f"ControlPath={self._sockets.name}/%C", f"ControlPersist={KEEP_S}"]
        self._ssh = ["ssh", *(["-F", str(config)] if config else []), *(f"-o{option}" for option in options)]

    def _has_own_master(self, config: Path | None) -> bool:
        """Say whether the user's configuration shares connections already."""
        words = ["ssh", *(["-F", str(config)] if config else []), "-G", "--", self.host]
        done = self._call(words, "")
        return re.search(r"^controlpath (?!none)", done.stdout, re.MULTILINE) is not None

    def __call__(self, words: Sequence[str], stdin: str) -> subprocess.CompletedProcess[str]:
        """Run a command there; its words arrive as they are.

        Raises:
            ResourceError: The host cannot be reached, or the connection broke.
        """
        done = self._call(self.line(words), stdin)
        self.check(done.returncode, done.stderr)
        return done

    def line(self, words: Sequence[str]) -> list[str]:
        """Return the command of this machine that runs a command there."""
        given = {**self._environment, "LC_ALL": "C", "SLURM_TIME_FORMAT": "%s"}
        line = shlex.join(["env", *(f"{name}={value}" for name, value in given.items()), *words])
        return [*self._ssh, "--", self.host, line]

    def start(self, words: Sequence[str], **streams: Any) -> subprocess.Popen[bytes]:
        """Start a command there and return it, for bytes to flow in or out; `check` tells whether the host was lost.

        Args:
            words: The command.
            streams: `stdin`, `stdout` and `stderr` as for `Popen`.
        """
        return subprocess.Popen(self.line(words), env=child_environment({}), **streams)

    def forward(self, host: str, port: int) -> int:
        """Lead a port of this machine to one that can be reached from there; return its number.

        Raises:
            ResourceError: The connection does not allow it.
        """
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            local = int(free.getsockname()[1])
        done = self._call([*self._ssh, "-O", "forward", "-L", f"127.0.0.1:{local}:{host}:{port}", "--", self.host], "")
        if done.returncode:
            raise ResourceError(
                f"ssh {self.host} forwards no port: {' '.join(done.stderr.split())[-300:]}",
                hint="The server must allow AllowTcpForwarding; otherwise run physlab on the login node itself.",
            )
        return local

    def check(self, code: int, said: str) -> None:
        """Raise when a command ended because the host could not be reached.

        Raises:
            ResourceError: So it was; with the words of ssh.
        """
        if code == _LOST and _BROKEN.search(said):
            raise ResourceError(
                f"ssh {self.host}: {' '.join(said.split())[-400:]}",
                hint=f"Try `ssh {self.host} true`: it must work without a question.",
            )

    def _call(self, words: Sequence[str], stdin: str) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(
                words, input=stdin, capture_output=True, text=True, errors="replace", timeout=PATIENCE_S, check=False,
                env=child_environment({}),
            )  # fmt: skip
        except FileNotFoundError as error:
            raise ConfigurationError("ssh is not installed here.", hint="Install the OpenSSH client.") from error
        except subprocess.TimeoutExpired as error:
            raise ResourceError(
                f"ssh {self.host} did not answer within {PATIENCE_S:g} s.", hint="The host or the network may be down."
            ) from error

    def close(self) -> None:
        """End the shared connection."""
        self._call([*self._ssh, "-O", "exit", "--", self.host], "")
        self._sockets.cleanup()

    def __enter__(self) -> SshRun:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
