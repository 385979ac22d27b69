"""A program of its own that brings files out of another repository of DVC, through DVC.

    python -m physlab.dvcrepo.bringing URL PATH REVISION FOLDER

An empty REVISION is the latest commit. It prints one JSON object a line for each file: `path`, `md5` as that repository
names it, and `revision`; the bytes lie in FOLDER under their path. A file that DVC does not track has no `md5`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path, PurePosixPath

from physlab.dvcrepo.courier import insist_on_known_hosts


def main() -> int:
    """Bring what the command line says."""
    from dvc.api import DVCFileSystem
    from dvc.exceptions import DvcException
    from scmrepo.exceptions import SCMError

    insist_on_known_hosts()
    url, path, revision, folder = sys.argv[1:5]
    try:
        place = DVCFileSystem(url=url, rev=revision or "HEAD")
        wanted = place.find(path) if place.isdir(path) else [path]
        known = place.repo.get_rev()
        for name in wanted:
            about = place.info(name).get("dvc_info") or {}
            inside = inside_of(name)
            target = Path(folder) / inside
            target.parent.mkdir(parents=True, exist_ok=True)
            place.get_file(name, str(target))
            line = {"path": str(inside), "md5": about.get("md5"), "revision": known}
            sys.stdout.write(json.dumps(line) + "\n")
    except (DvcException, SCMError, OSError) as error:
        sys.stderr.write(f"{error or type(error).__name__}\n")
        return 1
    return 0


def inside_of(name: str) -> PurePosixPath:
    """Return the path of a file inside its repository; lists of DVC are written by others and may name anything.

    Raises:
        OSError: It leads out of the repository.
    """
    path = PurePosixPath(name.lstrip("/"))
    if ".." in path.parts or not path.parts or "\\" in name or "\0" in name:
        raise OSError(f"The repository names a file {name!r}, which leads out of it.")
    return path


if __name__ == "__main__":
    sys.exit(main())
