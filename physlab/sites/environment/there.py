"""What happens at the cluster's end when an environment is brought there; its source text is sent to a Python there.

That Python has no physlab yet, so this file needs nothing but the standard library. An action comes in the arguments,
data on standard input; answers are lines of JSON on standard output, the last one is the result.

    FOLDER/<digest>/          an environment: complete, or not there
    FOLDER/.files/ab/<sha>    every file once, by its content; environments are hard links to them
    FOLDER/.wanted/<digest>   what an environment on its way is made of
    FOLDER/.making-…          one that is being put together
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

ABOUT, LIST = "environment.json", "files.json"
NAME = re.compile(r"[0-9a-f]{16}")
OBJECT = re.compile(r"[0-9a-f]{64}x?")
LEFTOVER_S = 86400.0
"""What an install left behind that was broken off is thrown away after so long [s]."""
CHUNK = 1 << 20
FEW = 200
COMPILERS = 4


class Refusal(Exception):  # noqa: N818 - an answer, not a fault
    """What is asked cannot be done; the words say why."""


def tell(**message: Any) -> None:
    """Write one line."""
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def place(folder: Path, name: str) -> Path:
    """Return where a file is kept."""
    return folder / ".files" / name[:2] / name


def wanted(folder: Path, digest: str) -> Any:
    """Return what an environment is made of: `files` (path, name in the store, size), and `about` it."""
    return json.loads((folder / ".wanted" / digest).read_text())


def claim(folder: Path, digest: str, python: str = "") -> None:
    """Say whether an environment is there; asked for with a Python, it becomes the newest one, and has that Python."""
    home = folder / digest
    if not (home / ABOUT).is_file():
        return tell(complete=False)
    if python:
        if os.path.realpath(home / "bin" / "python") != os.path.realpath(python):
            lay_python(home, python)
        os.utime(home)
    tell(complete=True)


def look(folder: Path, digest: str, keep: str = "") -> None:
    """Say which files of the list on standard input are missing; keep the list unless it is only a look."""
    text = gzip.decompress(sys.stdin.buffer.read()).decode()
    sizes = {name: size for _, name, size in json.loads(text)["files"]}
    if keep:
        (folder / ".wanted").mkdir(parents=True, exist_ok=True)
        write(folder / ".wanted" / digest, text)
    tell(missing=[name for name, size in sizes.items() if not has(place(folder, name), size)])


def has(path: Path, size: int) -> bool:
    """Say whether a file is there; one that a crash of the machine left short is not."""
    try:
        return path.stat().st_size == size
    except FileNotFoundError:
        return False


def write(path: Path, text: str) -> None:
    """Write a file that is there complete or not at all."""
    part = path.with_name(f".part-{secrets.token_hex(6)}")
    part.write_text(text)
    part.rename(path)


def take(folder: Path) -> None:
    """Take in the files that come as an archive, each by its content's digest: complete, or not at all."""
    part = folder / ".files" / f".part-{secrets.token_hex(6)}"
    part.parent.mkdir(parents=True, exist_ok=True)
    count = 0
    try:
        with tarfile.open(fileobj=sys.stdin.buffer, mode="r|*") as archive:
            for member in archive:
                content = archive.extractfile(member)
                if content is None or not OBJECT.fullmatch(member.name):
                    raise Refusal(f"{member.name!r} is no file of an environment")
                state = hashlib.sha256()
                with part.open("wb") as stream:
                    while chunk := content.read(CHUNK):
                        state.update(chunk)
                        stream.write(chunk)
                if state.hexdigest() != member.name[:64]:
                    raise Refusal(f"{member.name[:12]}… arrived damaged")
                part.chmod(0o555 if member.name.endswith("x") else 0o444)  # environments share it
                target = place(folder, member.name)
                target.parent.mkdir(exist_ok=True)
                part.rename(target)
                count += 1
    except tarfile.TarError as error:
        raise Refusal(f"the connection broke after {count} files ({error})") from error
    finally:
        part.unlink(missing_ok=True)
    tell(taken=count)


def make(folder: Path, digest: str, python: str) -> None:
    """Put an environment together, look whether it works, and only then give it its name."""
    forget_leftovers(folder)
    given = wanted(folder, digest)
    making = folder / f".making-{secrets.token_hex(6)}"
    try:
        count = len(given["files"])
        for number, (path, name, _) in enumerate(given["files"]):
            link(place(folder, name), inside(making, path))
            if number % FEW == 0:
                tell(done=number, of=count, what="laid out")
        compile_all(folder, making, given["files"])
        lay_python(making, python)
        attempt(making, given["imports"])
        write(making / LIST, json.dumps([name for _, name, _ in given["files"]]))
        write(making / ABOUT, json.dumps(given["about"]) + "\n")
        try:
            making.rename(folder / digest)
        except OSError:
            if not (folder / digest / ABOUT).is_file():  # else another install was first, with the same
                raise
    finally:
        shutil.rmtree(making, ignore_errors=True)
    (folder / ".wanted" / digest).unlink(missing_ok=True)
    tell(made=digest)


def inside(folder: Path, path: str) -> Path:
    """Return a path below a folder."""
    if path.startswith("/") or ".." in path.split("/"):
        raise Refusal(f"{path!r} leads out of the environment")
    return folder / path


def link(source: Path, target: Path) -> None:
    """Let a file appear at a second place; as a copy where the file system has no hard links, or no more of them."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except FileNotFoundError:
        raise Refusal(f"{source.name[:12]}… is missing; another install may have been pruned: try again") from None
    except OSError:
        shutil.copy2(source, target)


def compile_all(folder: Path, making: Path, files: Iterable[tuple[str, str, int]]) -> None:
    """Compile what is imported, each content once; a compiled file is not held against the time of its source."""
    tag = sys.implementation.cache_tag
    todo, links = {}, []
    for path, name, _ in files:
        if path.endswith(".py") and not {"tests", "test"} & set(path.split("/")):
            compiled = place(folder, name).with_suffix(f".{tag}.pyc")
            links.append((compiled, inside(making, path)))
            if not compiled.exists():
                todo[str(place(folder, name))] = str(compiled)
    for number, _ in enumerate(mapped(compile_one, list(todo.items()))):
        if number % FEW == 0:
            tell(done=number, of=len(todo), what="compiled")
    for compiled, source in links:
        if compiled.exists():
            link(compiled, source.parent / "__pycache__" / f"{source.stem}.{tag}.pyc")


def mapped(function: Callable[[Any], Any], items: list[Any]) -> Iterator[Any]:
    """Apply a function to many, in a few processes."""
    processes = min(COMPILERS, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1)
    if len(items) < FEW or processes == 1:
        yield from map(function, items)
        return
    import multiprocessing

    with multiprocessing.get_context("fork").Pool(processes) as pool:
        yield from pool.imap_unordered(function, items, 16)


def compile_one(pair: tuple[str, str]) -> None:
    """Compile a file; one that is not valid Python (a template, a test's data) stays as it is."""
    import py_compile

    unchecked = py_compile.PycInvalidationMode.UNCHECKED_HASH
    with contextlib.suppress(py_compile.PyCompileError, ValueError, RecursionError):
        py_compile.compile(pair[0], pair[1], doraise=True, invalidation_mode=unchecked, quiet=2)


def lay_python(home: Path, python: str) -> None:
    """Make a folder an environment of a Python, or of another one than before."""
    (home / "bin").mkdir(parents=True, exist_ok=True)
    version = ".".join(map(str, sys.version_info[:3]))
    write(home / "pyvenv.cfg",
          f"home = {Path(python).parent}\ninclude-system-site-packages = false\nversion = {version}\n")  # fmt: skip
    for name in ("python3", "python"):
        part = home / "bin" / f".part-{secrets.token_hex(6)}"
        part.symlink_to(python)
        part.rename(home / "bin" / name)


def attempt(home: Path, imports: list[str]) -> None:
    """Import what everything rests on."""
    words = [str(home / "bin" / "python"), "-I", "-B", "-c", "".join(f"import {name}\n" for name in imports)]
    done = subprocess.run(words, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise Refusal(f"it does not work there: {said[-1]}")


def prune(folder: Path, *kept: str) -> None:
    """Remove the environments that are not to be kept and that no process here uses, and the files only they had."""
    removed, used = [], []
    found = sorted(home.name for home in folder.glob("*") if NAME.fullmatch(home.name))
    for name in set(found) - set(kept):
        if any(f"{folder}/{name}/" in line for line in command_lines()):
            used.append(name)
            continue
        gone = folder / f".making-{secrets.token_hex(6)}"
        (folder / name).rename(gone)
        shutil.rmtree(gone, ignore_errors=True)
        removed.append(name)
    forget_leftovers(folder)
    tell(removed=sorted(removed), used=sorted(used), freed=forget_files(folder))


def forget_leftovers(folder: Path) -> None:
    """Remove what installs left behind that were broken off long ago."""
    old = time.time() - LEFTOVER_S
    for left in (*folder.glob(".making-*"), *folder.glob(".wanted/*"), *folder.glob(".files/.part-*")):
        with contextlib.suppress(FileNotFoundError):
            if left.stat().st_mtime < old:
                shutil.rmtree(left, ignore_errors=True) if left.is_dir() else left.unlink()


def command_lines() -> list[str]:
    """Return what runs on this machine, as far as it tells."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found.append(path.read_bytes().decode(errors="replace"))
    return found


def forget_files(folder: Path) -> int:
    """Remove the files of no environment, nor of one on its way; return their size [bytes]."""
    known = {name for path in folder.glob(f"*/{LIST}") for name in json.loads(path.read_text())}
    for path in folder.glob(".wanted/*"):
        with contextlib.suppress(FileNotFoundError):
            known |= {name for _, name, _ in json.loads(path.read_text())["files"]}
    freed = 0
    for path in folder.glob(".files/??/*"):
        if path.name.partition(".")[0] not in known:
            freed += path.stat().st_size
            path.unlink()
    return freed


ACTIONS: dict[str, Callable[..., None]] = {"claim": claim, "look": look, "take": take, "make": make, "prune": prune}


def main(action: str, folder: str, *words: str) -> int:
    """Do what the arguments say."""
    try:
        ACTIONS[action](Path(folder), *words)
    except (Refusal, OSError) as error:
        tell(error=str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
