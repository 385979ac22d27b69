"""The command line. Importing it imports nothing: worker processes import the main module again."""


def main() -> int:
    """Run one command and return its exit code."""
    import sys

    from physlab.cli.boundary import run_command

    return run_command(sys.argv[1:])
