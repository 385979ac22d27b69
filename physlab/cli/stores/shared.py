"""What commands on stores share: arguments, and progress while something travels."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from physlab.cli.output import counted, size, voice

if TYPE_CHECKING:
    from physlab.transfer import Pulled, Pushed, RemoteStore, Tally

StoreArgument = Annotated[str, typer.Argument(metavar="STORE", help="Name of a store in physlab.toml: [stores.NAME].")]
What = Annotated[
    str | None,
    typer.Argument(metavar="[RUN]", help="A run (as for show), a version, or sha256:…; left out: everything."),
]
Limit = Annotated[
    str | None, typer.Option("--limit", metavar="RATE", help="At most so much, such as 5MB/s.", show_default=False)
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say how many files and bytes would travel.")]


def rate(text: str | None) -> float | None:
    """Return a limit in bytes a second.

    Raises:
        ValidationError: It is none.
    """
    from physlab.errors import ValidationError
    from physlab.settings import read_rate

    try:
        return None if text is None else read_rate(text)
    except ValueError as error:
        raise ValidationError(f"{error}.", hint="Such as: --limit 5MB/s") from error


def tell_travelled(done: Pulled | Pushed, before: str, dry_run: bool) -> None:
    """Say how much travelled, or would, and what was there before."""
    sign, word = ("", "would travel") if dry_run else ("[green]✓[/green] ", "travelled")
    files, records = counted(done.files, "file"), counted(done.records, "record")
    voice.say(f"{sign}{files} ({size(done.size)}) and {records} {word}; {before}.")


@contextlib.contextmanager
def progress(remote: RemoteStore) -> Iterator[None]:
    """Show on a terminal what travels."""
    if voice.quiet or voice.as_json or not voice.err.is_terminal:
        yield
        return
    last = [0.0]
    with voice.err.status(f"{remote.name} …") as shown:

        def told(tally: Tally) -> None:
            if time.monotonic() - last[0] > 0.2:
                last[0] = time.monotonic()
                moved = " and ".join(
                    f"{size(count)} {word}" for count, word in ((tally.sent, "sent"), (tally.received, "read")) if count
                )
                shown.update(f"{remote.name}: {counted(tally.files, 'file')}, {moved}")

        remote.tally.told = told
        yield
