"""The logs of batch jobs on stderr, line by line, while they run."""

from __future__ import annotations

import logging

from physlab.cli.output import voice

JOB_GOES_ON = "A job that was accepted goes on: physlab job list, then physlab job fetch."


class _Told(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        voice.err.print(record.getMessage(), soft_wrap=True, markup=False)


def tell_job_logs() -> None:
    """Print what jobs write, unless this process is to be quiet."""
    logger = logging.getLogger("physlab.job")
    if not voice.quiet and not any(isinstance(handler, _Told) for handler in logger.handlers):
        logger.addHandler(_Told())
        logger.setLevel(logging.INFO)
        logger.propagate = False
