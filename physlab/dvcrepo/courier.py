"""A program of its own that carries objects between DVC's cache and a remote, through DVC.

    python -m physlab.dvcrepo.courier send|bring|read|remove NAME < MD5s, one a line

It prints one JSON object a line for each object that it read or that failed. DVC's own `push` and `pull` are not used:
they leave out, without a word, commits from before a remote was configured, and believe a folder to be complete at a
remote because its list is there.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from typing import Any

from physlab.keys import sha256_and_md5


def main() -> int:
    """Do what the command line says with the objects whose names come on stdin."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    insist_on_known_hosts()
    command, name = sys.argv[1:3]
    try:
        repo = Repo()
        place = repo.cloud.get_remote_odb(name, command)
        for line in _COMMANDS[command](repo.cache.local, place, sys.stdin.read().split()):
            sys.stdout.write(json.dumps(line) + "\n")
    except (DvcException, OSError) as error:
        sys.stderr.write(f"{error or type(error).__name__}\n")
        return 1
    return 0


def insist_on_known_hosts() -> None:
    """Check the key of a host that is reached by ssh, and lend it no keys: DVC does neither by itself."""
    try:
        from dvc_ssh import SSHFileSystem  # type: ignore[import-untyped]
    except ImportError:
        return
    theirs = SSHFileSystem._prepare_credentials

    def ours(self: Any, **config: Any) -> dict[str, Any]:
        return {**theirs(self, **config), "known_hosts": (), "agent_forwarding": False}

    SSHFileSystem._prepare_credentials = ours


def _send(cache: Any, place: Any, names: Iterable[str]) -> Iterable[dict[str, Any]]:
    return _carry(cache, place, cache, names)


def _bring(cache: Any, place: Any, names: Iterable[str]) -> Iterable[dict[str, Any]]:
    return _carry(place, cache, cache, names, verify=True)


def _carry(source: Any, target: Any, cache: Any, names: Iterable[str], **how: Any) -> Iterable[dict[str, Any]]:
    from dvc_data.hashfile.hash_info import HashInfo
    from dvc_data.hashfile.transfer import transfer

    wanted = {HashInfo("md5", name) for name in names}
    _, failed = transfer(source, target, wanted, jobs=target.fs.jobs, cache_odb=cache, **how)
    return [{"md5": one.value, "error": "cannot be carried"} for one in failed]


def _read(cache: Any, place: Any, names: Iterable[str]) -> Iterable[dict[str, Any]]:
    for name in names:
        try:
            with place.fs.open(place.oid_to_path(name), "rb") as stream:
                sha256, md5, size = sha256_and_md5(stream)
        except FileNotFoundError:
            yield {"md5": name, "error": "missing"}
        else:
            yield {"md5": name, "sha256": sha256, "found": md5, "size": size}


def _remove(cache: Any, place: Any, names: Iterable[str]) -> Iterable[dict[str, Any]]:
    for name in names:
        place.fs.remove(place.oid_to_path(name))
    return ()


_COMMANDS: dict[str, Callable[[Any, Any, Iterable[str]], Iterable[dict[str, Any]]]] = {
    "send": _send,
    "bring": _bring,
    "read": _read,
    "remove": _remove,
}


if __name__ == "__main__":
    sys.exit(main())
