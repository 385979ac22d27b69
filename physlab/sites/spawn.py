"""Fresh worker processes that neither run the user's main module again nor complain when they are no longer wanted."""

from __future__ import annotations

import multiprocessing.spawn
import sys
import threading
from multiprocessing.context import SpawnContext, SpawnProcess
from types import ModuleType
from typing import Any

_LOCK = threading.Lock()

# `multiprocessing` prints a traceback when the starting process ends, or is interrupted, while a worker of it begins.
_QUIETLY = """
import os, pickle, signal
signal.signal(signal.SIGINT, signal.SIG_IGN)
try:
    {program}
except (EOFError, OSError, pickle.UnpicklingError):
    os._exit(1)
"""


class _Process(SpawnProcess):
    @staticmethod
    def _Popen(process_obj: Any) -> Any:
        with _LOCK:
            main, command = sys.modules["__main__"], multiprocessing.spawn.get_command_line
            sys.modules["__main__"] = ModuleType("__main__")
            multiprocessing.spawn.get_command_line = _command_line
            try:
                return SpawnProcess._Popen(process_obj)
            finally:
                sys.modules["__main__"] = main
                multiprocessing.spawn.get_command_line = command


def _command_line(**places: Any) -> list[str]:
    words = _standard(**places)
    at = words.index("-c") + 1
    words[at] = _QUIETLY.format(program=words[at].replace("; ", "\n    "))
    return words


_standard = multiprocessing.spawn.get_command_line


class Context(SpawnContext):
    """How the worker pools start their processes."""

    Process = _Process
