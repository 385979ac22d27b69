"""`python -m physlab` is the command line."""

import sys

from physlab.cli import main

if __name__ == "__main__":
    sys.exit(main())
