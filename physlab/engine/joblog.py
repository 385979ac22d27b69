"""What batch jobs write, in the log of the task run that waits for them."""

from __future__ import annotations

import logging

from prefect.context import TaskRunContext
from prefect.logging.handlers import APILogHandler


class _OfTask(APILogHandler):
    """Prefect's handler, for lines that belong to a task run."""

    def emit(self, record: logging.LogRecord) -> None:
        if TaskRunContext.get() is not None:
            super().emit(record)


def show_job_logs() -> None:
    """Send what jobs write to the Prefect server; once for each process."""
    logger = logging.getLogger("physlab.job")
    if not any(isinstance(handler, _OfTask) for handler in logger.handlers):
        logger.addHandler(_OfTask())
        logger.setLevel(logging.INFO)
        logger.propagate = False
