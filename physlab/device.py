"""Which accelerator there is, and which fallback was taken and why."""

from __future__ import annotations

import contextlib
import platform
import shutil
import socket
from collections.abc import Sequence
from functools import cache
from pathlib import Path

ACCELERATORS = ("cuda", "hip", "mps", "xpu")


@cache
def accelerators() -> tuple[str, ...]:
    """Return the kinds of accelerator this machine has, best first; looks at drivers, imports nothing."""
    found = []
    if Path("/dev/nvidiactl").exists() or shutil.which("nvidia-smi"):
        found.append("cuda")
    if Path("/dev/kfd").exists():
        found.append("hip")
    if platform.system() == "Darwin" and platform.machine() == "arm64":
        found.append("mps")
    return tuple(found)


@cache
def machine() -> str:
    """Return which machine this is: its name, processor and system."""
    cpu = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        cpu = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), cpu)
    return f"{socket.gethostname()}, {cpu}, {platform.system()} {platform.release()}"


def resolve(wish: str, able: Sequence[str], present: Sequence[str]) -> tuple[str, str | None]:
    """Return the device kind a method runs on, and why it is not the one wished for.

    Args:
        wish: `auto`, `cpu`, `gpu` (any accelerator) or a kind.
        able: Kinds that the method can use.
        present: Accelerators that the site has and may use, best first; `cpu` among them is taken before those behind.
    """
    usable = [kind for kind in present if kind in able and kind != "cpu"]
    if wish == "auto" and "cpu" in present:
        usable = [kind for kind in usable if present.index(kind) < present.index("cpu")]
    if wish == "cpu" or (wish == "auto" and not usable):
        return "cpu", None
    if wish in ("auto", "gpu") and usable:
        return usable[0], None
    if wish in usable:
        return wish, None
    if not any(kind in ACCELERATORS for kind in able):
        return "cpu", f"{wish} was asked for, but this method computes on the CPU only"
    have = ", ".join(kind for kind in present if kind != "cpu") or "none"
    return "cpu", f"{wish} was asked for, but the site has no such accelerator (it has: {have})"
