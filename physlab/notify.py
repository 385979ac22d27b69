"""Telling somebody: a webhook, a command, or both, as `[notify]` says."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from physlab.errors import PhyslabError
from physlab.settings import NotifySettings, Settings, child_environment
from physlab.tools.process import describe_exit, run_process

SHOWN = 300


def notify(settings: Settings, event: str, message: str, details: Mapping[str, Any] | None = None) -> list[str]:
    """Tell of an event; return what went wrong with that, for it must not hide the event itself.

    Args:
        settings: The lab's.
        event: Its name, such as `physlab.backup.failed`.
        message: One sentence for people.
        details: JSON values for programs; no secrets.
    """
    body = {
        "event": event, "message": message, "lab": str(settings.home), "details": dict(details or {}),
        "occurred": datetime.now(UTC).isoformat(timespec="seconds"), "text": f"physlab: {message}",
    }  # fmt: skip
    problems = []
    if settings.notify.webhook is not None:
        problems += _post(settings.notify, body)
    if settings.notify.command:
        problems += _call(settings.notify, body)
    return problems


def _post(to: NotifySettings, body: Mapping[str, Any]) -> list[str]:
    """Post to the webhook; redirects are not followed, and its address, which may be a secret, is not told."""
    import httpx

    from physlab.outgoing import client

    url = to.webhook.get_secret_value() if to.webhook else ""
    try:
        with client(url, limit_s=to.timeout_s) as http, http.stream("POST", url, json=dict(body)) as answer:
            pass  # what it says is not read
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return [f"notify.webhook was not reached: {type(error).__name__}"]
    return [] if answer.is_success else [f"notify.webhook answered {answer.status_code}"]


def _call(to: NotifySettings, body: Mapping[str, Any]) -> list[str]:
    with tempfile.TemporaryDirectory(prefix="physlab-notify-") as folder:
        said, log = Path(folder) / "event.json", Path(folder) / "log"
        said.write_text(json.dumps(body) + "\n", encoding="utf-8")
        env = child_environment({"PHYSLAB_EVENT": str(body["event"])}, drop_prefix=("PHYSLAB_", "RESTIC_", "PREFECT_"))
        try:
            code = run_process(to.command, cwd=Path(folder), env=env, log=log, stdin=said, limit_s=to.timeout_s)
        except PhyslabError as error:
            return [f"notify.command: {error.message}"]
        words = " ".join(log.read_text(errors="replace").split())[-SHOWN:]
        return [] if code == 0 else [f"notify.command ended with {describe_exit(code)}: {words}"]
