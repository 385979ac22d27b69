"""A program of its own that reads objects at a remote through DVC, and says both digests of each.

    python -m physlab.dvcrepo.reading NAME < MD5s, one a line

It prints one JSON object a line: `md5` and either `sha256`, `found` (the MD5 of what is there) and `size`, or `error`.
What is wrong with the remote itself goes to stderr.
"""

from __future__ import annotations

import json
import sys

from physlab.keys import sha256_and_md5


def main() -> int:
    """Read the objects whose names come on stdin."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        place = Repo().cloud.get_remote_odb(sys.argv[1], "verify")
    except DvcException as error:
        sys.stderr.write(f"{error}\n")
        return 1
    for md5 in sys.stdin.read().split():
        sys.stdout.write(json.dumps({"md5": md5, **_read(place, md5)}) + "\n")
    return 0


def _read(place: object, md5: str) -> dict[str, object]:
    try:
        with place.fs.open(place.oid_to_path(md5), "rb") as stream:  # type: ignore[attr-defined]
            sha256, found, size = sha256_and_md5(stream)
    except FileNotFoundError:
        return {"error": "missing"}
    except OSError as error:
        return {"error": f"cannot be read: {error}"}
    return {"sha256": sha256, "found": found, "size": size}


if __name__ == "__main__":
    sys.exit(main())
