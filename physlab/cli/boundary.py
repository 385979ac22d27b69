"""The border to the shell: signals, exit codes, and errors that never end in a traceback."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

from physlab.cli.output import escape, show_error, show_problem, voice
from physlab.errors import CancelledError, PhyslabError, ValidationError

SWITCHES = ("-v", "--verbose", "-q", "--quiet")
USAGE = 2


def run_command(argv: Sequence[str]) -> int:
    """Run one command.

    Returns:
        0 when all is well, 1 on an error, 2 on a command line that is not understood, 128 + n after signal n.
    """
    import typer

    from physlab.cli.app import app

    argv = hoist(argv) or ["--help"]
    if speaks_json(argv):
        voice.keep_stdout()
    stop = StopSignals()
    stop.listen()
    usage_error: type[Exception] = typer.BadParameter.__mro__[1]  # the base of all errors of usage
    try:
        code = app(list(argv), prog_name="physlab", standalone_mode=False) or 0
        return code if stop.number is None else _stopped(stop.number)
    except (KeyboardInterrupt, typer.Abort):
        return _stopped(stop.number or signal.SIGINT)
    except usage_error as error:
        return _not_understood(error)
    except PhyslabError as error:
        show_error(error if voice.as_json else _for_people(error))
        return 1
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 1
    except Exception as error:  # noqa: BLE001 - the last border: a fault of ours is told, not thrown at people
        return _fault(error, argv)


def _for_people(error: PhyslabError) -> PhyslabError:
    """Return an error with the logins of people in the place of their ids, where the lab can tell them."""
    import re

    if re.search(r"[0-9a-f]{32}", str(error)) is None:
        return error
    from physlab.collab.people.naming import people_in, with_logins
    from physlab.settings import load_settings

    try:
        people = people_in(load_settings(), str(error))
    except PhyslabError:  # it may be what this error tells of
        return error
    return PhyslabError(with_logins(error.message, people), hint=with_logins(error.hint, people))


def hoist(argv: Sequence[str]) -> list[str]:
    """Move -v and -q to the front, where they are understood, so that they may stand anywhere."""
    end = argv.index("--") if "--" in argv else len(argv)
    head = argv[:end]
    switches = [word for word in head if word in SWITCHES]
    return [*switches, *(word for word in head if word not in SWITCHES), *argv[end:]]


def speaks_json(argv: Sequence[str]) -> bool:
    """Say whether a program reads the answer."""
    end = argv.index("--") if "--" in argv else len(argv)
    words = [word for word in argv[:end] if word not in SWITCHES]
    return "--json" in words or (words[:1] == ["call"] and not {"-h", "--help"} & set(words))


class StopSignals:
    """The first signal stops the work in order, the second says that it is on its way, the third ends at once."""

    def __init__(self) -> None:
        self.number: signal.Signals | None = None
        self._heard = 0

    def listen(self) -> None:
        """Listen, unless the caller wants a signal ignored (nohup, a job in the background)."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._hear)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        self._heard += 1
        if self._heard == 1:
            self.number = signal.Signals(number)
            raise KeyboardInterrupt
        if self._heard > 2:
            os._exit(128 + number)
        os.write(2, b"\nStill stopping; once more ends at once.\n")


def _stopped(number: signal.Signals) -> int:
    if voice.as_json:
        show_error(CancelledError(f"Stopped by {number.name}.", hint=voice.parting))
    else:
        voice.err.print(f"[yellow]■[/yellow] Stopped. {escape(voice.parting)}", soft_wrap=True)
    return 128 + number


def _not_understood(error: BaseException) -> int:
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "physlab"
    message = getattr(error, "format_message", lambda: str(error))()
    hint = f"See: {command} --help"
    if not message:  # a group without a command: its help was printed
        return USAGE
    if voice.as_json:
        show_error(ValidationError(message, hint=hint))
    else:
        show_problem(message, hint)
    return USAGE


def _fault(error: Exception, argv: Sequence[str]) -> int:
    path = _write_fault(error, argv)
    report = f"with the file {path}" if path is not None else "with this command (no file about it could be written)"
    told = PhyslabError(
        f"A fault of physlab: {type(error).__name__}: {error}",
        hint=f"Please report it {report}. Nothing that was finished is lost.",
        details={"fault": str(path)} if path is not None else {},
    )
    show_error(told)
    return 1


def _write_fault(error: Exception, argv: Sequence[str]) -> Path | None:
    """Write down everything that helps to mend a fault; return the file, None where none can be written."""
    import platform

    from physlab import __version__

    now = datetime.now(UTC)
    text = "".join(traceback.format_exception(error))
    head = f"physlab {__version__}, Python {sys.version}, {platform.platform()}\n{now.isoformat()}\n{list(argv)}\n\n"
    for folder in (_home_faults, _temporary_faults):
        try:
            path = folder() / f"{now:%Y%m%d-%H%M%S-%f}.txt"
            path.write_text(head + text, encoding="utf-8")
        except Exception:  # noqa: BLE001, S112 - the fault may lie in what this needs: the next place
            continue
        return path
    return None


def _home_faults() -> Path:
    from physlab.settings import load_settings

    folder = load_settings().home / "faults"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _temporary_faults() -> Path:
    import tempfile

    return Path(tempfile.mkdtemp(prefix="physlab-fault-"))
