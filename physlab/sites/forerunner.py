"""A worker for one piece of work, forked while its process is young: it loads the tool while the lab is opened.

`physlab call` is one process for one call. A fresh worker would import everything again, one after the other; this one
shares what is imported already, and loads what the tool needs on a second core. It must be started before the first
thread.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from typing import NamedTuple

from physlab.errors import PhyslabError, from_reply
from physlab.model import Work, WorkResult
from physlab.sites import worker


class Ended(NamedTuple):
    """How the worker's process ended without a word: as `subprocess` counts, signals are negative."""

    exitcode: int


class Forerunner:
    """A worker process that waits for its one piece of work; it dies with its parent.

    Args:
        modules: What to import at once.
    """

    def __init__(self, modules: Sequence[str]) -> None:
        here_in, there_out = os.pipe()
        there_in, here_out = os.pipe()
        parent = os.getpid()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(here_in)
            os.close(here_out)
            _live(there_in, there_out, parent, modules)
        os.close(there_in)
        os.close(there_out)
        self._in, self._out = here_in, here_out

    def run(self, work: Work, cores: Sequence[int], memory_gb: float | None) -> WorkResult | Ended:
        """Do the work and return its result, or how the worker ended without one.

        Raises:
            PhyslabError: The work failed.
        """
        with contextlib.suppress(BrokenPipeError), open(self._out, "w", encoding="utf-8") as stream:  # it died before
            json.dump([work.model_dump_json(), list(cores), memory_gb], stream)
        with open(self._in, encoding="utf-8") as stream:
            answer = stream.read()
        _, status = os.waitpid(self.pid, 0)
        if not answer:
            return Ended(os.waitstatus_to_exitcode(status))
        kind, text = answer[0], answer[1:]
        if kind == "!":
            raise from_reply(json.loads(text))
        return WorkResult.model_validate_json(text)

    def kill(self) -> None:
        """End it, whatever it does."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)


def _live(source: int, sink: int, parent: int, modules: Sequence[str]) -> None:
    """Be the worker."""
    code = 1
    try:
        worker.start(1, parent)
        for name in modules:
            importlib.import_module(name)
        with open(source, encoding="utf-8") as stream:
            asked = stream.read()
        if not asked:
            os._exit(0)  # the result was there already
        work, cores, memory_gb = json.loads(asked)
        try:
            answer = " " + worker.run(work, cores, memory_gb)
        except PhyslabError as error:
            answer = "!" + json.dumps(error.as_reply())
        with open(sink, "w", encoding="utf-8") as stream:
            stream.write(answer)
        code = 0
    finally:
        try:
            if code and sys.stderr is not None and not isinstance(sys.exc_info()[1], SystemExit):
                traceback.print_exc()
            for opened in (sys.stdout, sys.stderr):
                if opened is not None:  # it is None where it was closed
                    opened.flush()
        finally:
            os._exit(code)  # whatever goes wrong: a child that returned would be a second parent
