"""An export as one ZIP file: the same folder gives the same bytes, and a hostile one fills no disk."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from physlab.durable import force_file, force_folder
from physlab.errors import StoreError, ValidationError

DATE = (1980, 1, 1, 0, 0, 0)
CHUNK = 1 << 20
MOST_TIMES = 200
"""What a file unpacks to, in sizes of the archive: text of a notebook stays far below."""
MOST_FILES = 1_000_000
SPARE = 64 << 20


def pack(folder: Path, target: Path) -> None:
    """Write a folder as a ZIP file that is not there yet, complete or not at all.

    Raises:
        StoreError: It cannot be written.
    """
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    os.close(handle)
    scratch = Path(name)
    try:
        with zipfile.ZipFile(scratch, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
            for path in sorted(path for path in folder.rglob("*") if path.is_file()):
                info = zipfile.ZipInfo(path.relative_to(folder).as_posix(), DATE)
                info.compress_type, info.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
                with open(path, "rb") as source, archive.open(info, "w", force_zip64=True) as sink:
                    shutil.copyfileobj(source, sink, CHUNK)
        scratch.chmod(0o644)
        force_file(scratch)
        os.replace(scratch, target)
        force_folder(target.parent)
    except OSError as error:
        raise StoreError(
            f"'{target}' cannot be written: {error.strerror or error}.", hint="Choose another place."
        ) from error
    finally:
        scratch.unlink(missing_ok=True)


@contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """Give the folder of an export: itself, or what is in a ZIP file, in a folder that is removed afterwards.

    Raises:
        ValidationError: The archive is damaged, or holds what no export holds.
    """
    if not path.is_file():
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="physlab-notebook-") as scratch:
        try:
            with zipfile.ZipFile(path) as archive:
                _unpack(archive, Path(scratch), path)
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, FileExistsError,
                NotADirectoryError) as error:  # fmt: skip
            raise ValidationError(
                f"'{path}' is no whole ZIP file: {error}.", hint="Take the export as it was."
            ) from error
        yield Path(scratch)


def _unpack(archive: zipfile.ZipFile, folder: Path, path: Path) -> None:
    room = MOST_TIMES * path.stat().st_size + SPARE
    members = archive.infolist()
    names = [info.filename for info in members]
    if len(names) > MOST_FILES or len(set(names)) != len(names):
        raise ValidationError(f"'{path}' names a file twice, or too many.", hint="Take the export as it was.")
    for info in members:
        inside = PurePosixPath(info.filename)
        parts, kind = inside.parts, stat.S_IFMT(info.external_attr >> 16)
        odd = inside.is_absolute() or inside.as_posix() != info.filename or "\\" in info.filename
        if odd or ".." in parts or not parts or kind not in (0, stat.S_IFREG):
            raise ValidationError(f"{info.filename!r:.80}: no export has this in it.", hint="Take it as it was.")
        target = folder.joinpath(*parts)
        target.parent.mkdir(parents=True, exist_ok=True)
        with archive.open(info) as source, open(target, "xb") as sink:
            while data := source.read(CHUNK):
                room -= len(data)
                if room < 0:
                    raise ValidationError(f"'{path}' would fill the disk.", hint="Take the export as it was.")
                sink.write(data)
