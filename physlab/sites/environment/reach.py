"""The other end of an install: which Pythons a cluster has, and what runs there before physlab does."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from physlab.errors import ConfigurationError, StoreError
from physlab.settings import SlurmSiteSettings, child_environment
from physlab.sites.environment import there
from physlab.sites.environment.inventory import machine, own_glibc, read_glibc
from physlab.sites.slurm.commands import PRIVATE
from physlab.sites.ssh import SshRun

_PROBE = """
import json, os, platform, sys
folder = sys.argv[1]
while not os.path.isdir(folder):
    folder = os.path.dirname(folder)
about = os.statvfs(folder)
try:
    libc = os.confstr("CS_GNU_LIBC_VERSION") or ""
except (AttributeError, OSError, ValueError):
    libc = ""
print(json.dumps({
    "minor": "%d.%d" % sys.version_info[:2] + getattr(sys, "abiflags", ""), "version": platform.python_version(),
    "implementation": platform.python_implementation().lower(), "system": platform.system(),
    "machine": platform.machine(), "glibc": libc, "free": about.f_bavail * about.f_frsize,
    "python": os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable),
}))
"""  # an old Python must understand it as well, to be told what it lacks
_AFTER_PROLOGUE = '{ %s\n} </dev/null >&2; exec "$@"'
UNSET = ("PYTHONPATH", "PYTHONHOME")
"""Variables of modules and shells by which other packages would stand in for those of an environment."""


def after_prologue(prologue: Sequence[str], words: Sequence[str]) -> list[str]:
    """Return a command that runs after the site's prologue, in a shell that knows `module`."""
    if not prologue:
        return list(words)
    return ["bash", "-lc", _AFTER_PROLOGUE % "\n".join(prologue), "bash", *words]


class Reach:
    """Runs `there` at a site, by a Python that fits.

    Args:
        name: What the lab calls the site.
        settings: `[sites.slurm.NAME]`.
        folder: The site's folder; environments are in its `environments`.
        ssh: The connection; None for a cluster whose folder this machine sees.
        newest: The newest environment there, whose Python is the first to be asked.
    """

    def __init__(
        self, name: str, settings: SlurmSiteSettings, folder: Path, ssh: SshRun | None, newest: str | None = None
    ) -> None:
        self.name, self.folder = name, folder / "environments"
        self._before = [str(self.folder / newest / "bin" / "python")] if newest else []
        self._prologue, self._ssh = settings.prologue, ssh
        self.packs = ssh is not None  # what goes over a network is compressed
        self.place = settings.host or "this machine"

    def probe(self, python: str | None, needs: tuple[tuple[int, int], str] | None) -> dict[str, Any]:
        """Return what is known of a Python there that can use an environment from here.

        Args:
            python: The one to ask; None for that of the newest environment, and those that `PATH` finds.
            needs: The C library that the environment needs, and the package that needs it.

        Raises:
            ConfigurationError: None fits; with what is here and what is there.
        """
        mine, seen = machine(), []
        usual = [*self._before, *([] if self._ssh else [sys.executable]), f"python{mine['minor']}", "python3"]
        for word in [python] if python else usual:
            code, lines, said = self.start([word, "-I", "-c", _PROBE, str(self.folder)])
            answers = list(_answers(lines))
            if code or not answers:
                seen.append(f"{word}: {said.splitlines()[-1] if said else f'exit code {code}'}")
                continue
            found = answers[-1]
            if (found["system"], found["machine"]) != (mine["system"], mine["machine"]):
                raise self._other_machine(found)
            if all(found[key] == mine[key] for key in mine):
                return self._with_glibc(found, needs)
            seen.append(f"{word} is {_spoken(found)}")
        raise ConfigurationError(
            f"The packages here are for {_spoken(_here())}. On {self.place}, {'; '.join(seen)}.",
            hint=f"Name a Python {mine['minor']} there, --python /path/to/python{mine['minor']}, or load one in the "
            f'prologue of [sites.slurm.{self.name}]: prologue = ["module load python/{mine["minor"]}"].',
        )

    def _other_machine(self, found: dict[str, Any]) -> ConfigurationError:
        return ConfigurationError(
            f"The packages here are for {_spoken(_here())}; {self.place} is another kind of machine: {_spoken(found)}.",
            hint=f"Install physlab there (python3 -m venv, then pip install physlab and your own packages), and name "
            f'its Python in [sites.slurm.{self.name}]: python = "/path/to/bin/python".',
        )

    def _with_glibc(self, found: dict[str, Any], needs: tuple[tuple[int, int], str] | None) -> dict[str, Any]:
        has = read_glibc(found["glibc"])
        if needs is not None and (has is None or has < needs[0]):
            raise ConfigurationError(
                "{} needs glibc {}.{} or a newer one; {} has {}.".format(
                    needs[1], *needs[0], self.place, found["glibc"] or "another C library"
                ),
                hint=f"Leave it here, --without {needs[1].split()[0]}, or install an older release of it.",
            )
        return found

    def ask(
        self, python: str, action: str, *words: str, given: bytes = b"",
        write: Callable[[IO[bytes]], None] | None = None, heard: Callable[[dict[str, Any]], None] | None = None,
    ) -> dict[str, Any]:  # fmt: skip
        """Let the cluster's end do something and return its answer.

        Args:
            python: A Python that fits.
            action: One of `there.ACTIONS`.
            words: Its arguments.
            given: Its standard input.
            write: Writes its standard input instead.
            heard: Told of what it says meanwhile.

        Raises:
            StoreError: It cannot; with its words.
        """
        source = Path(there.__file__).read_text(encoding="utf-8")
        command = [python, "-I", "-c", source, action, str(self.folder), *words]
        last: dict[str, Any] = {}

        def hear(line: bytes) -> None:
            nonlocal last
            for last in _answers([line]):
                if heard is not None:
                    heard(last)

        code, _, said = self.start(command, given=given, write=write, hear=hear)
        if code or "error" in last:
            why = last.get("error") or (said.splitlines()[-1] if said else f"exit code {code}")
            raise StoreError(
                f"The environment cannot be brought to {self.folder} on {self.place}: {why}.",
                hint="What arrived is kept: give the same command again once that is mended.",
            )
        return last

    def start(
        self, words: Sequence[str], *, given: bytes = b"", write: Callable[[IO[bytes]], None] | None = None,
        hear: Callable[[bytes], None] | None = None,
    ) -> tuple[int, list[bytes], str]:  # fmt: skip
        """Run a command there; return how it ended, its lines, and what it complained of."""
        line = after_prologue(self._prologue, words)
        with tempfile.TemporaryFile() as errors, tempfile.TemporaryFile() as source:
            source.write(given)
            source.seek(0)
            streams = {"stdin": subprocess.PIPE if write else source, "stdout": subprocess.PIPE, "stderr": errors}
            try:
                process = self._begin(line, streams)
            except OSError as error:
                return 127, [], f"{error.strerror}"
            try:
                if write is not None and process.stdin is not None:
                    _write(write, process.stdin)
                lines = list(_heard(process.stdout or (), hear))
            except BaseException:
                process.kill()
                raise
            finally:
                for stream in (process.stdin, process.stdout):
                    if stream is not None:
                        stream.close()
                code = process.wait()
            errors.seek(0)
            said = errors.read().decode(errors="replace").strip()
        if self._ssh is not None:
            self._ssh.check(code, said)
        return code, lines, said

    def _begin(self, words: Sequence[str], streams: dict[str, Any]) -> subprocess.Popen[bytes]:
        if self._ssh is not None:
            return self._ssh.start(words, **streams)
        return subprocess.Popen(words, env=child_environment({"LC_ALL": "C"}, drop_prefix=PRIVATE), **streams)


def _write(write: Callable[[IO[bytes]], None], stream: IO[bytes]) -> None:
    try:
        write(stream)
        stream.close()
    except BrokenPipeError:
        pass  # it ended early; its own words say why


def _heard(stream: Any, hear: Callable[[bytes], None] | None) -> Iterator[bytes]:
    for line in stream:
        if hear is not None:
            hear(line)
        yield line


def _answers(lines: Sequence[bytes]) -> Iterator[dict[str, Any]]:
    for line in lines:
        try:
            found = json.loads(line)
        except ValueError:
            continue  # a login shell's greeting
        if isinstance(found, dict):
            yield found


def _here() -> dict[str, Any]:
    version = own_glibc()
    libc = f"glibc {version[0]}.{version[1]}" if version else ""
    return {**machine(), "version": platform.python_version(), "glibc": libc}


def _spoken(about: dict[str, Any]) -> str:
    kind = f"{about['system']} {about['machine']}"
    return f"{about['implementation']} {about['version']}, {kind}, {about['glibc'] or 'no glibc'}"
