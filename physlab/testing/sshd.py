"""A real OpenSSH server on this machine, for this user, with keys of its own, for tests."""

from __future__ import annotations

import ctypes
import getpass
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from physlab.settings import child_environment

SBIN = "/usr/sbin:/sbin"
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)


def missing_parts() -> str:
    """Return what is missing for a server, with the command that installs it; empty when all is there."""
    path = f"{child_environment({}).get('PATH', '')}:{SBIN}"
    gone = [name for name in ("sshd", "ssh", "ssh-keygen") if shutil.which(name, path=path) is None]
    return f"{', '.join(gone)} cannot be found: apt-get install openssh-server openssh-client" if gone else ""


class SshServer:
    """A server that lets this user in with a key; a context manager.

    Args:
        environment: Variables that its sessions have.

    Attributes:
        host: Name of it in `config`.
        config: Configuration file for the client.
        commands: Folder with an `ssh` that knows the host, to stand first in the PATH of a program.
    """

    host = "login"

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        path = f"{child_environment({}).get('PATH', '')}:{SBIN}"
        program = shutil.which("sshd", path=path)
        if program is None:
            raise RuntimeError(missing_parts())
        self.base = Path(tempfile.mkdtemp(prefix="physlab-sshd-"))
        self.config = self.base / "config"
        for name in ("host", "user"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.base / name], check=True)
        shutil.copy(self.base / "user.pub", self.base / "authorized")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        given = " ".join(f'{name}="{value}"' for name, value in (environment or {}).items())
        (self.base / "sshd").write_text("\n".join((
            f"Port {self.port}", "ListenAddress 127.0.0.1", f"HostKey {self.base}/host", f"PidFile {self.base}/pid",
            f"AuthorizedKeysFile {self.base}/authorized", "StrictModes no", "PasswordAuthentication no",
            "KbdInteractiveAuthentication no", "UsePAM no", "PermitRootLogin yes", "Subsystem sftp internal-sftp",
            f"SetEnv {given}" if given else "", "",
        )))  # fmt: skip
        known = f"[127.0.0.1]:{self.port} {(self.base / 'host.pub').read_text()}"
        (self.base / "known").write_text(known)
        self.config.write_text("\n".join((
            f"Host {self.host}", "  HostName 127.0.0.1", f"  Port {self.port}", f"  User {getpass.getuser()}",
            f"  IdentityFile {self.base}/user", "  IdentitiesOnly yes", f"  UserKnownHostsFile {self.base}/known",
            "  GlobalKnownHostsFile /dev/null", "",
        )))  # fmt: skip
        self.commands = self.base / "bin"
        self.commands.mkdir()
        (self.commands / "ssh").write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {self.config} "$@"\n')
        (self.commands / "ssh").chmod(0o755)
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)  # where it gives up its rights
        self._log = (self.base / "log").open("wb")
        self._server = subprocess.Popen(
            [program, "-D", "-e", "-f", self.base / "sshd"], stdin=subprocess.DEVNULL, stdout=self._log,
            stderr=self._log, preexec_fn=_with_parent,
        )  # fmt: skip
        self._wait()

    def _wait(self) -> None:
        begun = time.monotonic()
        while time.monotonic() - begun < 20:
            if self._server.poll() is not None:
                raise RuntimeError(f"sshd ended: {(self.base / 'log').read_text()}")
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return
            time.sleep(0.02)
        raise TimeoutError("sshd did not answer")

    def close(self) -> None:
        """End the server and its connections."""
        self._server.terminate()
        self._server.wait(timeout=10)
        self._log.close()
        shutil.rmtree(self.base, ignore_errors=True)

    def __enter__(self) -> SshServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _with_parent() -> None:
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
