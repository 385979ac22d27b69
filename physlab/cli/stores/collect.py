"""`store gc STORE`: what nothing in another store needs."""

from __future__ import annotations

from typing import Any

from physlab.cli.output import counted, escape, size, voice
from physlab.cli.stores.shared import progress


def refuse_here(let_go: bool) -> None:
    """Refuse what is for other stores only.

    Raises:
        ValidationError: It was asked for.
    """
    from physlab.errors import ValidationError

    if let_go:
        raise ValidationError(
            "--let-go is for another store.", hint="Name it: physlab store gc STORE --let-go. Here: --older-than DAYS"
        )


def collect_elsewhere(store: str, older_than: int | None, grace: int, let_go: bool, delete: bool) -> int:
    """Say what nothing in a store needs, and with `delete` condemn it and remove what was condemned long enough ago."""
    from physlab import service
    from physlab.errors import ValidationError
    from physlab.lab import Lab
    from physlab.settings import load_settings
    from physlab.transfer import open_remote

    if older_than is not None:
        raise ValidationError(
            "--older-than is for the lab itself.",
            hint=f"First here: physlab store gc --older-than {older_than} --delete; then: physlab store gc {store} "
            "--let-go",
        )
    voice.parting = "Everything that is needed is there; the same command goes on."
    with Lab(load_settings()) as lab, open_remote(lab.settings, store) as remote, progress(remote):
        found = service.collect_store(lab, remote, grace_days=grace, let_go=let_go, delete=delete)
    if voice.as_json:
        voice.reply(found)
        return 0
    _tell(found, grace)
    options = f"{' --let-go' if let_go else ''}{f' --grace {grace}' if grace != 14 else ''}"
    if not delete and (found["files"] or found["condemned"]):
        voice.next(f"physlab store gc {store} --delete{options}")
    elif grace and (found["condemned"] or found["waiting"]):
        voice.next(f"physlab store gc {store} --delete{options}", f"in {counted(grace, 'day')}")
    return 0


def _tell(found: dict[str, Any], grace: int) -> None:
    done = found["deleted"]
    voice.say(
        f"{counted(found['files'], 'file')}, {size(found['bytes'])} {'removed' if done else 'would go'}; "
        f"{counted(found['kept'], 'file')} stay."
    )
    if found["condemned"]:
        what = f"{counted(found['condemned'], 'file')}, {size(found['condemned_bytes'])}"
        voice.fact("condemned", f"{what}{'' if done else ' would be'} now, to go in {counted(grace, 'day')}")
    if found["waiting"]:
        what = f"{counted(found['waiting'], 'file')}, {size(found['waiting_bytes'])}"
        voice.fact("waiting", f"{what} that were condemned less than {counted(grace, 'day')} ago")
    if found["young"]:
        voice.fact("young", f"{counted(found['young'], 'file')} that nothing needs, not {grace} days old")
    if found["records"]:
        voice.fact("let go", escape(f"{counted(found['records'], 'record')} of results that this lab has no files of"))
    if found["drafts"]:
        voice.fact("half-sent", f"{counted(found['drafts'], 'leftover')} removed")
