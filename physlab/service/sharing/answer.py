"""The calls of `session_share` and `collaborate_share` by whoever has the lab's files."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from physlab.lab import Lab
from physlab.service.sharing.collaborate import share_bundle
from physlab.service.sharing.commons import commons_of, local_who
from physlab.service.sharing.share import share_session


def session_share(lab: Lab, params: Mapping[str, Any]) -> dict[str, Any]:
    """Answer a call of `session_share`.

    Args:
        lab: The lab.
        params: As `SessionShareParams` has them.

    Raises:
        ValidationError: The call is wrong; nothing was shared.
        StoreError: The database cannot be reached.
    """
    begun = time.perf_counter()
    with commons_of(lab) as commons:
        body = share_session(commons, lab.settings, local_who(lab, commons), params)
    return _timed(body, begun)


def collaborate_share(lab: Lab, params: Mapping[str, Any], base_dir: Path | None = None) -> dict[str, Any]:
    """Answer a call of `collaborate_share`.

    Args:
        lab: The lab.
        params: As `CollaborateParams` has them.
        base_dir: Folder that relative file names start from.

    Raises:
        ValidationError: The call is wrong; nothing was shared.
        StoreError: Nothing of it may leave the lab, or the database cannot be reached.
    """
    begun = time.perf_counter()
    with commons_of(lab) as commons:
        body = share_bundle(lab, commons, local_who(lab, commons), params, base_dir)
    return _timed(body, begun)


def _timed(body: dict[str, Any], begun: float) -> dict[str, Any]:
    body["meta"] = {**body.get("meta", {}), "duration_ms": (time.perf_counter() - begun) * 1e3}
    return body
