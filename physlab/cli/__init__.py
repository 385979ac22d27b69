"""The command line. Importing it imports nothing: worker processes import the main module again."""


def main() -> None:
    """Run one command and end the process.

    It ends at once, after whatever waits for the end has run: freeing all that Prefect made, one object after the
    other, takes longer than many a command.
    """
    import sys

    from physlab.cli.boundary import run_command

    code = run_command(sys.argv[1:])

    import atexit
    import contextlib
    import os
    import threading

    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)
