"""Files behind ssh: sent and fetched by content, over the connection that the commands use, verified by their hash."""

from __future__ import annotations

import io
import os
import secrets
import shlex
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import IO, Any

from physlab.errors import ComputationError, ResourceError, StoreError
from physlab.keys import digest_stream
from physlab.sites.files import NOT_MADE, OUTSIDE, PIECE
from physlab.sites.ssh import SshRun

TRIES = 2
_TAKE_IN = """
mkdir -p "$1/$2" && cd "$1/$2" && tar -xf - || exit 70
for name in *; do
    set -- $(sha256sum "$name")
    [ "$1" = "$name" ] || exit 71
    mv -f "$name" ../"$name" || exit 70
done
cd .. && rmdir "$OLDPWD"
"""
_LIST = """
cd "$1" && base=$(realpath -e .) || exit 70
root=$(realpath -e -- "$2" 2>/dev/null) || exit 72
case "$root/" in "$base"/*) ;; *) exit 73 ;; esac
printf '%s\\0' "$base"
find "$root" -type f -print0 | xargs -0 -r sha256sum -z --
"""


class SshFiles:
    """Files of a host that this machine does not see.

    What is laid there is kept once for each content, so that the same input goes over the network once.

    Args:
        run: Runs commands there.
        root: A folder of ours there.
    """

    def __init__(self, run: SshRun, root: Path) -> None:
        self._run = run
        self._kept = root / ".inputs"

    def make(self, folders: Iterable[Path]) -> None:
        """Make folders.

        Raises:
            StoreError: They cannot be made.
        """
        self._do(["xargs", "-0", "-r", "mkdir", "-p", "--"], "\0".join(map(str, folders)), "cannot be made")

    def lay(self, files: Mapping[Path, Path]) -> None:
        """Send what is not there yet, and copy it to where it is wanted.

        Raises:
            StoreError: They cannot be written there, or arrived damaged.
        """
        if not files:
            return
        digests = {source: _digest(source) for source in dict.fromkeys(files.values())}
        sources = {digest: source for source, digest in digests.items()}
        asked = "\0".join(str(self._kept / digest) for digest in sources)
        seen = self._run(["xargs", "-0", "sha256sum", "--"], asked).stdout.splitlines()
        there = {line[:64] for line in seen if line[:64] == line.rpartition("/")[2]}
        missing = {digest: source for digest, source in sources.items() if digest not in there}
        if missing:
            self._send(missing)
        lines = []
        for target, source in files.items():
            lines += [f"mkdir -p -- {shlex.quote(str(target.parent))}",
                      f"cp -- {shlex.quote(str(self._kept / digests[source]))} {shlex.quote(str(target))}"]  # fmt: skip
            if os.access(source, os.X_OK):
                lines.append(f"chmod +x -- {shlex.quote(str(target))}")
        self._do(["sh", "-es"], "\n".join(lines) + "\n", "cannot be laid out")

    def _send(self, files: Mapping[str, Path]) -> None:
        def write(stream: IO[bytes]) -> None:
            with tarfile.open(fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT) as archive:
                for digest, source in files.items():
                    archive.add(source.resolve(), digest)

        arriving = f".arriving-{secrets.token_hex(6)}"
        code, said = self._flow(["sh", "-c", _TAKE_IN, "sh", str(self._kept), arriving], write=write)
        if code:
            raise StoreError(
                f"Files cannot be sent to {self._run.host}: {'they arrived damaged' if code == 71 else said[-300:]}.",
                hint=f"Is there room in {self._kept.parent}? Try again.",
            )

    def read(self, path: Path, start: int = 0) -> bytes:
        """Return a piece of a file.

        Raises:
            ResourceError: The host cannot be reached.
        """
        where = f"+{start + 1}" if start >= 0 else str(-start)
        command = 'tail -c "$1" -- "$2" 2>/dev/null | head -c "$3"'
        found = io.BytesIO()
        self._flow(["sh", "-c", command, "sh", where, str(path), str(PIECE)], read=lambda s: _copy(s, found))
        return found.getvalue()

    def bring(self, folder: Path, wanted: str, leave_out: Collection[str], into: Path) -> dict[str, Path]:
        """Fetch the files that are not here yet with the content that they have there.

        Raises:
            ComputationError: There is no such file, or it leads out of the folder.
            ResourceError: They cannot be fetched, or change while they are.
        """
        for _ in range(TRIES):
            listed = self._listed(folder, wanted, leave_out)
            missing = [name for name, digest in listed.items() if _digest_or_none(into / name) != digest]
            if missing:
                self._fetch(folder, missing, into)
            wrong = [name for name in missing if _digest_or_none(into / name) != listed[name]]
            if not wrong:
                return {name: into / name for name in sorted(listed)}
        raise ResourceError(
            f"'{wrong[0]}' changed on {self._run.host} while it was fetched, {TRIES} times.",
            hint="Fetch it when nothing writes to it any more.",
        )

    def _listed(self, folder: Path, wanted: str, leave_out: Collection[str]) -> dict[str, str]:
        found = io.BytesIO()
        code, said = self._flow(["sh", "-c", _LIST, "sh", str(folder), wanted], read=lambda s: _copy(s, found))
        if code == 72:
            raise ComputationError(NOT_MADE.format(wanted), hint=f"What it made is in {self._run.host}:{folder}.")
        if code == 73:
            raise ComputationError(OUTSIDE.format(wanted), hint="Let it write into its folder.")
        if code:
            raise ResourceError(
                f"{self._run.host}:{folder} cannot be listed: {said[-300:]}.", hint="Is it still there?"
            )
        base, *lines = (os.fsdecode(item) for item in found.getvalue().split(b"\0") if item)
        names = {PurePosixPath(line[66:]).relative_to(base).as_posix(): line[:64] for line in lines}
        return {name: digest for name, digest in names.items() if name not in leave_out}

    def _fetch(self, folder: Path, names: Collection[str], into: Path) -> None:
        asked = b"\0".join(os.fsencode(f"./{name}") for name in names)
        code, said = self._flow(
            ["tar", "-C", str(folder), "--hard-dereference", "--null", "-T", "-", "-cf", "-"], given=asked,
            read=lambda stream: _unpack(stream, set(names), into),
        )  # fmt: skip
        if code > 1:  # 1: a file changed, which its hash will tell
            raise ResourceError(f"Files cannot be fetched from {self._run.host}: {said[-300:]}.", hint="Try again.")

    def remove(self, folders: Iterable[Path]) -> None:
        """Remove folders."""
        self._do(["xargs", "-0", "-r", "rm", "-rf", "--"], "\0".join(map(str, folders)), "cannot be removed")

    def _do(self, words: list[str], stdin: str, what: str) -> None:
        done = self._run(words, stdin)
        if done.returncode:
            raise StoreError(
                f"Folders on {self._run.host} {what}: {done.stderr.strip()[-300:]}.",
                hint=f"Check the site's folder, {self._kept.parent}, and its rights.",
            )

    def _flow(
        self, words: list[str], *, given: bytes = b"", write: Callable[[IO[bytes]], None] | None = None,
        read: Callable[[IO[bytes]], Any] | None = None,
    ) -> tuple[int, str]:  # fmt: skip
        """Let bytes flow to or from a command; return how it ended and what it said."""
        with tempfile.TemporaryFile() as errors, tempfile.TemporaryFile() as source:
            source.write(given)
            source.seek(0)
            process = self._run.start(
                words, stdin=subprocess.PIPE if write else source, stderr=errors,
                stdout=subprocess.PIPE if read else subprocess.DEVNULL,
            )  # fmt: skip
            try:
                if write is not None and process.stdin is not None:
                    write(process.stdin)
                if read is not None and process.stdout is not None:
                    read(process.stdout)
            except (BrokenPipeError, tarfile.TarError):
                pass  # the command ended early; its own words say why
            finally:
                for stream in (process.stdin, process.stdout):
                    if stream is not None:
                        stream.close()
                code = process.wait()
            errors.seek(0)
            said = errors.read().decode(errors="replace").strip()
        self._run.check(code, said)
        return code, said


def _copy(stream: IO[bytes], into: IO[bytes]) -> None:
    shutil.copyfileobj(stream, into)


def _unpack(stream: IO[bytes], names: set[str], into: Path) -> None:
    """Write the files that were asked for, and nothing else that an archive may hold."""
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        for member in archive:
            name = member.name.removeprefix("./")
            content = archive.extractfile(member) if member.isfile() and name in names else None
            if content is not None:
                (into / name).parent.mkdir(parents=True, exist_ok=True)
                with (into / name).open("wb") as target:
                    shutil.copyfileobj(content, target)


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return digest_stream(stream)[0]
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}.", hint="Check its rights.") from error


def _digest_or_none(path: Path) -> str | None:
    return _digest(path) if path.is_file() else None
