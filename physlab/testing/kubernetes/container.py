"""Runs one container: a process with its own mounts and process numbers where the machine lets it have them.

It is run as a program of its own, with nothing but the standard library, so that it is there in milliseconds:

    python -I -S container.py DESCRIPTION

The description is JSON: `argv`, `env`, `cwd`, `isolated`, `root` (an empty folder), `told` (a file that hears why it
could not start), and `mounts`, each a list of where it comes from, where it goes, and whether it is read-only. The
process is number 1 of its own numbers: it gets no signal that it does not handle, but SIGKILL; and with it ends all
that it started.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

_LIBC = ctypes.CDLL(None, use_errno=True)
_NEWNS, _NEWUSER, _NEWPID = 0x00020000, 0x10000000, 0x20000000
_MS_RDONLY, _MS_NOSUID, _MS_REMOUNT, _MS_BIND, _MS_REC, _MS_PRIVATE = 1, 2, 32, 4096, 16384, 1 << 18
_PDEATHSIG = 1
CANNOT_START = 128


def unshare() -> None:
    """Get own mounts and process numbers, through an own table of users where this user may not have them otherwise.

    Raises:
        OSError: The machine does not allow it.
    """
    user, group = os.geteuid(), os.getegid()
    if user == 0 and not _LIBC.unshare(_NEWNS | _NEWPID):
        return
    _call(_LIBC.unshare(_NEWUSER | _NEWNS | _NEWPID), "unshare")
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{group} {group} 1")


def _call(result: int, what: str) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def _mount(source: str, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    words = (source.encode(), target.encode(), kind and kind.encode(), flags, data and data.encode())
    _call(_LIBC.mount(*words), f"mount {source} at {target}")


def _mimic(old: str, new: str, wanted: dict[str, bool]) -> None:
    """Fill an empty folder so that it looks like another, with room for what is wanted below it.

    Args:
        old: The folder to look like; it need not exist.
        new: The empty folder.
        wanted: Places below it, such as `a/b`, that are going to be mounted, and whether they are folders.
    """
    missing = {place.split("/")[0] for place in wanted}
    for entry in os.scandir(old) if os.path.isdir(old) else ():
        target = f"{new}/{entry.name}"
        missing.discard(entry.name)
        if entry.is_symlink():
            os.symlink(os.readlink(entry.path), target)
        elif not entry.is_dir():
            Path(target).touch()
            with suppress(FileNotFoundError):  # it went meanwhile
                _mount(entry.path, target, None, _MS_BIND)
        else:
            os.mkdir(target)
            below = _below(wanted, entry.name)
            if all(os.path.exists(f"{entry.path}/{place}") for place in below):
                _mount(entry.path, target, None, _MS_BIND | _MS_REC)
            else:
                _mount("none", target, "tmpfs", 0, "mode=755")
                _mimic(entry.path, target, below)
    for name in missing:
        below = _below(wanted, name)
        if not below and not wanted[name]:
            Path(f"{new}/{name}").touch()
            continue
        Path(f"{new}/{name}").mkdir()
        _mimic(f"{old}/{name}", f"{new}/{name}", below)


def _below(wanted: dict[str, bool], name: str) -> dict[str, bool]:
    return {place[len(name) + 1 :]: folder for place, folder in wanted.items() if place.startswith(f"{name}/")}


def enter(root: str, mounts: list[list[str]]) -> None:
    """Give this process the machine's files, with the mounts among them.

    Raises:
        OSError: Something cannot be mounted.
    """
    _mount("none", "/", None, _MS_REC | _MS_PRIVATE)
    _mount("none", root, "tmpfs", 0, "mode=755")
    ordered = sorted((os.path.realpath(place), source, mode) for source, place, mode in mounts)
    _mimic("/", root, {place.strip("/"): os.path.isdir(source) for place, source, _ in ordered})
    for place, source, mode in ordered:
        target = f"{root}{place}"
        _mount(source, target, None, _MS_BIND | _MS_REC)
        if mode == "ro":
            _mount("none", target, None, _MS_BIND | _MS_REMOUNT | _MS_RDONLY | _MS_NOSUID)
    os.chroot(root)
    os.chdir("/")


def _own_numbers() -> None:
    try:
        _mount("proc", "/proc", "proc", 0)
    except OSError:  # inside another container: /proc is the machine's, the numbers are its own all the same
        return


def _start(given: dict[str, Any], isolated: bool) -> None:
    _LIBC.prctl(_PDEATHSIG, signal.SIGKILL)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    os.setsid()
    argv, env, cwd = given["argv"], given["env"], given["cwd"]
    try:
        if isolated:
            if given["mounts"]:
                enter(given["root"], given["mounts"])
            _own_numbers()
        os.makedirs(cwd, exist_ok=True)
        os.chdir(cwd)
        os.execvpe(argv[0], argv, env)  # noqa: S606
    except OSError as error:
        os.write(given["told"], f"exec: {json.dumps(argv[0])}: {error.strerror or error}".encode())
    os._exit(CANNOT_START)


def main(text: str) -> int:
    """Run the container of a description and return how its process ended."""
    given = json.loads(text)
    _LIBC.prctl(_PDEATHSIG, signal.SIGKILL)
    if os.getppid() == 1:  # whoever started this is gone already
        return 137
    isolated = bool(given["isolated"])
    if isolated:
        unshare()
    told = given["told"]
    os.set_inheritable(told, False)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    child = os.fork()
    if child == 0:
        _start(given, isolated)
    signal.signal(signal.SIGTERM, lambda *_: os.kill(child, signal.SIGTERM))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
    for stream in (told, 1, 2):
        os.close(stream)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    os._exit(main(sys.argv[1]))
