"""Files behind ssh: sent and fetched by content, over the connection that the commands use, verified by their hash."""

from __future__ import annotations

import contextlib
import io
import os
import secrets
import shlex
import shutil
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO

from physlab.errors import ResourceError, StoreError
from physlab.keys import digest_stream
from physlab.sites.files import PIECE, Brought, Wish, not_made, outside
from physlab.sites.ssh import SshRun
from physlab.sites.streams import Reads, Writes, flow

TRIES = 2
_TAKE_IN = """
mkdir -p "$1/$2" && cd "$1/$2" && tar -xf - || exit 70
for name in *; do
    set -- $(sha256sum "$name")
    [ "$1" = "$name" ] || exit 71
    mv -f "$name" ../"$name" || exit 70
done
cd .. && rmdir "$OLDPWD"
find . -maxdepth 1 -type f -mtime +30 -delete
find . -maxdepth 1 -type d -name '.arriving-*' -mtime +1 -exec rm -rf {} +
"""
_LIST = """
while IFS= read -r -d '' folder && IFS= read -r -d '' wanted; do
    base=$(realpath -e -- "$folder" 2>/dev/null) || { printf '=70\\0'; continue; }
    root=$(realpath -e -- "$base/$wanted" 2>/dev/null) || { printf '=72\\0'; continue; }
    case "$root/" in "$base"/*) ;; *) printf '=73\\0'; continue ;; esac
    printf '=0\\0%s\\0' "$base"
    find "$root" -type f -print0 | xargs -0 -r sha256sum -z --
done
"""


@dataclass(frozen=True)
class _Listed:
    """What is there of a wish: name → digest, below the folder's real path; or how looking for it ended."""

    code: int
    base: str = ""
    digests: Mapping[str, str] = field(default_factory=dict)


class SshFiles:
    """Files of a host that this machine does not see.

    What is laid there is kept once for each content, so that the same input goes over the network once; what was not
    used for a month is thrown away.

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
            kept = shlex.quote(str(self._kept / digests[source]))
            lines += [f"touch -c -- {kept}", f"mkdir -p -- {shlex.quote(str(target.parent))}",
                      f"cp -- {kept} {shlex.quote(str(target))}"]  # fmt: skip
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

    def bring(self, wishes: Sequence[Wish]) -> list[Brought]:
        """Fetch the files that are not here yet with the content that they have there, all in one stream.

        Raises:
            ResourceError: They cannot be fetched, or change while they are.
        """
        wrong: list[str] = []
        for _ in range(TRIES):
            listed = self._listed(wishes)
            missing: dict[str, tuple[Path, str]] = {}  # path there → path here, digest
            for wish, seen in zip(wishes, listed, strict=True):
                for name, digest in seen.digests.items():
                    if _digest_or_none(wish.into / name) != digest:
                        missing[f"{seen.base}/{name}"] = (wish.into / name, digest)
            if missing:
                self._fetch({there: here for there, (here, _) in missing.items()})
            wrong = [there for there, (here, digest) in missing.items() if _digest_or_none(here) != digest]
            if not wrong:
                return [self._answer(wish, seen) for wish, seen in zip(wishes, listed, strict=True)]
        raise ResourceError(
            f"'{wrong[0]}' changed on {self._run.host} while it was fetched, {TRIES} times.",
            hint="Fetch it when nothing writes to it any more.",
        )

    def _answer(self, wish: Wish, seen: _Listed) -> Brought:
        if seen.code == 73:
            return outside(wish)
        if seen.code:
            return not_made(wish)
        return {name: wish.into / name for name in sorted(seen.digests)}

    def _listed(self, wishes: Sequence[Wish]) -> list[_Listed]:
        asked = b"".join(os.fsencode(f"{wish.folder}\0{wish.wanted}\0") for wish in wishes)
        said = io.BytesIO()
        code, errors = self._flow(["bash", "-c", _LIST], given=asked, read=lambda stream: _copy(stream, said))
        found: list[list[str]] = []
        for item in said.getvalue().split(b"\0")[:-1]:
            text = os.fsdecode(item)
            if text.startswith("="):
                found.append([text[1:]])
            elif found:
                found[-1].append(text)
        if code or len(found) != len(wishes):
            raise ResourceError(
                f"Folders on {self._run.host} cannot be listed: {errors[-300:]}.", hint="Are they still there?"
            )
        return [_read(parts, wish) for parts, wish in zip(found, wishes, strict=True)]

    def _fetch(self, places: Mapping[str, Path]) -> None:
        asked = b"\0".join(os.fsencode(f".{there}") for there in places)
        words = ["tar", "-C", "/", "--hard-dereference", "--null", "-T", "-", "-cf", "-"]
        code, said = self._flow(words, given=asked, read=lambda stream: _unpack(stream, places))
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
        self, words: list[str], *, given: bytes = b"", write: Writes | None = None,
        read: Reads | None = None,
    ) -> tuple[int, str]:  # fmt: skip
        """Let bytes flow to or from a command; return how it ended and what it said."""
        code, said = flow(partial(self._run.start, words), given=given, write=write, read=read)
        self._run.check(code, said)
        return code, said


def _copy(stream: IO[bytes], into: IO[bytes]) -> None:
    shutil.copyfileobj(stream, into)


def _read(parts: Sequence[str], wish: Wish) -> _Listed:
    code, *rest = parts
    if not rest:
        return _Listed(int(code))
    base, *lines = rest
    digests = {PurePosixPath(line[66:]).relative_to(base).as_posix(): line[:64] for line in lines}
    return _Listed(0, base, {name: digest for name, digest in digests.items() if name not in wish.leave_out})


def _unpack(stream: IO[bytes], places: Mapping[str, Path]) -> None:
    """Write the files that were asked for, and nothing else that an archive may hold."""
    with contextlib.suppress(tarfile.TarError), tarfile.open(fileobj=stream, mode="r|") as archive:  # it ended early
        for member in archive:
            place = places.get(member.name.removeprefix("."))
            content = archive.extractfile(member) if member.isfile() and place is not None else None
            if content is not None and place is not None:
                place.parent.mkdir(parents=True, exist_ok=True)
                with place.open("wb") as target:
                    shutil.copyfileobj(content, target)


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return digest_stream(stream)[0]
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}.", hint="Check its rights.") from error


def _digest_or_none(path: Path) -> str | None:
    return _digest(path) if path.is_file() else None
