"""What a piece of work used of its machine: processor time and memory, its programs included."""

from __future__ import annotations

import contextlib
import re
import resource
from pathlib import Path

STATUS = Path("/proc/self/status")
RESET = Path("/proc/self/clear_refs")


class Usage:
    """Measures from its making on, in this process and the programs that it waits for."""

    def __init__(self) -> None:
        self._cpu_s, self._children_mb = _cpu_s(), _peak_mb(resource.RUSAGE_CHILDREN)
        with contextlib.suppress(OSError):  # not Linux: the peak may be an earlier one's
            RESET.write_text("5")  # forget the peak of whatever ran here before

    def taken(self) -> dict[str, float]:
        """Return `cpu_s`, the processor time [s], and `peak_mb`, the largest memory of one process [MB, 2^20 bytes]."""
        found = re.search(r"VmHWM:\s+(\d+) kB", STATUS.read_text()) if STATUS.exists() else None
        own = int(found[1]) / 1024 if found else _peak_mb(resource.RUSAGE_SELF)
        children = _peak_mb(resource.RUSAGE_CHILDREN)
        largest = max(own, children if children > self._children_mb else 0.0)
        return {"cpu_s": round(_cpu_s() - self._cpu_s, 3), "peak_mb": round(largest, 1)}


def _cpu_s() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def _peak_mb(who: int) -> float:
    return resource.getrusage(who).ru_maxrss / 1024
