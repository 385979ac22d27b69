"""Bytes to and from a running command."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
from collections.abc import Callable
from typing import IO, Any

Writes = Callable[[IO[bytes]], None]
Reads = Callable[[IO[bytes]], Any]


def flow(
    start: Callable[..., subprocess.Popen[bytes]],
    *,
    given: bytes = b"",
    write: Writes | None = None,
    read: Reads | None = None,
) -> tuple[int, str]:
    """Let bytes flow to or from a command.

    A command that ends before it has read everything is no error of its own: its words say why. One that cannot be
    followed to its end, because of an interruption or of what it wrote, is killed.

    Args:
        start: Starts it, given `stdin`, `stdout` and `stderr`.
        given: Its standard input.
        write: Writes its standard input instead.
        read: Reads its standard output, which is thrown away otherwise.

    Returns:
        Its exit code and what it complained of.
    """
    with tempfile.TemporaryFile() as errors, tempfile.TemporaryFile() as source:
        source.write(given)
        source.seek(0)
        process = start(
            stdin=subprocess.PIPE if write else source, stdout=subprocess.PIPE if read else subprocess.DEVNULL,
            stderr=errors,
        )  # fmt: skip
        try:
            if write is not None and process.stdin is not None:
                with contextlib.suppress(BrokenPipeError), process.stdin:
                    write(process.stdin)
            if read is not None and process.stdout is not None:
                read(process.stdout)
        except BaseException:
            process.kill()
            raise
        finally:
            if process.stdout is not None:
                process.stdout.close()
            code = process.wait()
        errors.seek(0)
        return code, errors.read().decode(errors="replace").strip()
