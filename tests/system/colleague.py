"""DVC as somebody without physlab has it: `python colleague.py pull`."""

import sys

sys.modules["physlab"] = None  # type: ignore[assignment]  # the import system refuses it from now on

if __name__ == "__main__":
    try:
        import physlab  # noqa: F401
    except ImportError:
        from dvc.cli import main

        sys.exit(main(sys.argv[1:]))
    sys.exit("physlab can be imported here")
