"""How a command is run on this machine: what all that speaks to Slurm is made of."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping, Sequence

from physlab.settings import child_environment

Run = Callable[[Sequence[str], str], "subprocess.CompletedProcess[str]"]
PATIENCE_S = 60.0
PRIVATE = ("PREFECT_", "PHYSLAB_")
"""What begins the names of variables that no other machine needs to know."""


def run_here(environment: Mapping[str, str] | None = None) -> Run:
    """Return what runs a command on this machine, with further variables, and without those of Prefect and physlab.

    Slurm hands the variables of whoever submits on to the job.
    """

    def run(words: Sequence[str], stdin: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            words, input=stdin, capture_output=True, text=True, errors="replace", timeout=PATIENCE_S, check=False,
            env=child_environment(
                {**(environment or {}), "LC_ALL": "C", "SLURM_TIME_FORMAT": "%s"}, drop_prefix=PRIVATE
            ),
        )  # fmt: skip

    return run
