"""The lab's people and sessions, opened once for each lab, and who is at its command line."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from contextlib import contextmanager

from physlab.collab.access import Who
from physlab.collab.commons import Commons, open_commons
from physlab.lab import Lab


@contextmanager
def commons_of(lab: Lab) -> Iterator[Commons]:
    """Open the people and sessions of a lab."""
    settings = lab.settings
    commons = open_commons(settings.home, lab.store, settings.collaboration.database_url)
    try:
        yield commons
    finally:
        commons.close()


def local_who(lab: Lab, commons: Commons) -> Who:
    """Return who works on the machine that has the lab's files."""
    return commons.local((lab.settings.collaboration.person or getpass.getuser()).lower())
