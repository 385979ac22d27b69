"""What is known of a cluster beforehand: how long a pilot would wait, and which accelerators its machines have."""

from __future__ import annotations

import json
import re
import secrets
import time
from pathlib import Path

from physlab.errors import PhyslabError
from physlab.model.job import JobResources
from physlab.settings import SlurmSiteSettings
from physlab.sites.slurm.commands import Run
from physlab.sites.slurm.gate import gate_here, gate_to
from physlab.sites.slurm.script import resource_words
from physlab.sites.ssh import SshRun

FRESH_S = 60.0
"""So long what the scheduler said of its queue is taken for true [s]."""


def wait_s(run: Run, kind: JobResources) -> float:
    """Return how long a pilot would wait, by the scheduler's own plan [s]; 0 when it does not tell.

    Args:
        run: The way to the cluster; times are seconds there.
        kind: The pilot.
    """
    words = ("sbatch", "--test-only", *resource_words(kind))
    begins = re.search(r"to start at (\d+) ", run(words, "#!/bin/sh\n").stderr)
    return max(0.0, float(begins[1]) - time.time()) if begins else 0.0


class Outlook:
    """Asks when a plan depends on it, and remembers.

    Args:
        settings: `[sites.slurm.NAME]`.
        notes: The lab's own folder about the site.
    """

    def __init__(self, settings: SlurmSiteSettings, notes: Path) -> None:
        self._settings, self._path = settings, notes / "accelerators.json"
        self._waits: dict[JobResources, tuple[float, float]] = {}

    def wait_s(self, kind: JobResources) -> float:
        """Return how long a pilot would wait [s]; 0 when the cluster cannot be asked."""
        asked_at, found = self._waits.get(kind, (-FRESH_S, 0.0))
        if time.monotonic() - asked_at < FRESH_S:
            return found
        try:
            found = self._ask(kind)
        except (PhyslabError, OSError):  # the run itself will say what is wrong with it
            found = 0.0
        self._waits[kind] = (time.monotonic(), found)
        return found

    def _ask(self, kind: JobResources) -> float:
        if self._settings.host is None:
            return wait_s(gate_here(), kind)
        with SshRun(self._settings.host) as run:
            return wait_s(gate_to(run), kind)

    def accelerators(self) -> tuple[str, ...]:
        """Return the kinds of accelerator that pilots have found, or what a `gpu_partition` promises until then."""
        if self._settings.gpu_partition is None:
            return ()
        known = self._known().get(self._settings.gpu_partition)
        return ("cuda",) if known is None else tuple(known)

    def learn(self, kind: JobResources, found: list[str]) -> None:
        """Write down which kinds of accelerator a pilot found."""
        known = self._known()
        if kind.gpus and kind.partition and known.get(kind.partition) != found:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            draft = self._path.with_suffix(f".{secrets.token_hex(4)}")
            draft.write_text(json.dumps({**known, kind.partition: found}))
            draft.replace(self._path)

    def _known(self) -> dict[str, list[str]]:
        try:
            return dict(json.loads(self._path.read_bytes()))
        except (OSError, ValueError):
            return {}
