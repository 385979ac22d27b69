"""Work on an accelerator with PyTorch: batches sized beforehand, halved when memory runs out, the CPU at the last."""

from __future__ import annotations

import gc
import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from physlab.errors import MissingExtraError, PhyslabError, ResourceError
from physlab.tools.context import Context

T = TypeVar("T")
TORCH_NAME = {"cuda": "cuda", "hip": "cuda", "mps": "mps", "xpu": "xpu", "cpu": "cpu"}
SMALLEST_BATCH = 32
SHARE = 0.5  # of the free memory that a batch may be planned for
_SPENT = ("out of memory", "can't allocate memory", "not enough memory")


def import_torch(purpose: str) -> Any:
    """Return PyTorch.

    Args:
        purpose: What needs it, for the message.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        return importlib.import_module("torch")
    except ImportError as error:
        raise MissingExtraError(
            f"{purpose} needs PyTorch, which cannot be imported: {error}.",
            hint="Install it: pip install torch (https://pytorch.org has the builds for accelerators).",
            details={"module": "torch"},
        ) from error


def is_out_of_memory(torch: Any, error: BaseException) -> bool:
    """Say whether an error means that memory ran out; MPS and the CPU tell it by their words only."""
    if isinstance(error, PhyslabError):
        return False
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _SPENT)


def free_bytes(torch: Any, kind: str) -> int | None:
    """Return the free memory of a device [byte]; None when it does not tell."""
    if kind in ("cuda", "hip"):
        return int(torch.cuda.mem_get_info()[0])
    if kind == "xpu":
        return int(torch.xpu.mem_get_info()[0])
    if kind == "mps":
        return int(torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory())
    import psutil

    return int(psutil.virtual_memory().available)


def fit_batch(wanted: int, bytes_per_sample: float, free: int | None) -> int:
    """Return the batch that fits into a share of the free memory: the wanted one, halved as often as needed."""
    while free is not None and wanted > SMALLEST_BATCH and wanted * bytes_per_sample > SHARE * free:
        wanted = max(SMALLEST_BATCH, wanted // 2)
    return wanted


def run_where_it_fits(
    work: Callable[[str, int], T], context: Context, *, batch: int, bytes_per_sample: float, purpose: str
) -> T:
    """Run work on the call's device, with smaller batches or on the CPU when its memory does not suffice.

    Args:
        work: `(name of the torch device, batch size) -> result`; it starts anew at every attempt.
        context: Its device is asked for; its meta gets `device`, `batch_size`, `device_fallback` and
            `peak_device_memory_mb`, its warnings every step down.
        batch: Wanted batch size.
        bytes_per_sample: What one sample of a batch needs at most [byte].
        purpose: What runs, for the messages.

    Raises:
        ResourceError: The smallest batch does not fit into the memory of the CPU.
    """
    torch = import_torch(purpose)
    kind = _present(torch, context, purpose)
    size = _sized(torch, kind, batch, bytes_per_sample, context)
    while True:
        _reset_peak(torch, kind)
        try:
            result = work(TORCH_NAME[kind], size)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(torch, error):
                raise
            spent = str(error).split("\n")[0][:200] or type(error).__name__
        else:
            context.meta.update(device=kind, batch_size=size, peak_device_memory_mb=_peak_mb(torch, kind))
            return result
        _release(torch, kind)  # outside the handler: the traceback held the tensors
        if size > SMALLEST_BATCH:
            smaller = max(SMALLEST_BATCH, size // 2)
            context.warn(f"{purpose}: {kind} ran out of memory with batches of {size} ({spent}); now {smaller}.")
            size = smaller
        elif kind != "cpu":
            _fall_back(context, kind, f"its memory does not hold a batch of {size}: {spent}", purpose)
            kind, size = "cpu", _sized(torch, "cpu", batch, bytes_per_sample, context)
        else:
            raise ResourceError(
                f"{purpose} ran out of memory with batches of {size} on the CPU: {spent}.",
                hint="Use a smaller network or fewer points, or raise resources.memory_gb.",
            )


@contextmanager
def single_thread(torch: Any) -> Iterator[None]:
    """Compute on one thread with deterministic algorithms, so that no bit depends on how many cores a node gets."""
    threads, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(strict, warn_only=warn_only)


def _present(torch: Any, context: Context, purpose: str) -> str:
    """Return the device kind to use: the call's, or the CPU when this PyTorch cannot reach it."""
    kind = context.device if context.device in TORCH_NAME else "cpu"
    reachable: dict[str, Any] = {
        "cpu": lambda: True,
        "cuda": lambda: torch.cuda.is_available() and torch.version.hip is None,
        "hip": lambda: torch.cuda.is_available() and torch.version.hip is not None,
        "mps": lambda: torch.backends.mps.is_available(),
        "xpu": lambda: hasattr(torch, "xpu") and torch.xpu.is_available(),
    }
    if reachable[kind]():
        return kind
    _fall_back(context, kind, f"PyTorch {torch.__version__} cannot reach it", purpose)
    return "cpu"


def _fall_back(context: Context, kind: str, reason: str, purpose: str) -> None:
    context.meta["device_fallback"] = f"{kind}: {reason}"
    context.warn(f"{purpose}: computing on the CPU instead of {kind}, since {reason}.")


def _sized(torch: Any, kind: str, batch: int, bytes_per_sample: float, context: Context) -> int:
    size = fit_batch(batch, bytes_per_sample, free_bytes(torch, kind))
    if size < batch:
        context.warn(f"Batches of {batch} do not fit into the free memory of {kind}; {size} are used.")
    return size


def _memory(torch: Any, kind: str) -> Any:
    return {"cuda": torch.cuda, "hip": torch.cuda, "xpu": getattr(torch, "xpu", None)}.get(kind)


def _reset_peak(torch: Any, kind: str) -> None:
    if (memory := _memory(torch, kind)) is not None:
        memory.reset_peak_memory_stats()


def _peak_mb(torch: Any, kind: str) -> float | None:
    """Return the peak of allocated device memory [MB]; MPS knows the present value only, the CPU none."""
    if kind == "mps":
        return float(torch.mps.driver_allocated_memory()) / 1e6
    memory = _memory(torch, kind)
    return None if memory is None else float(memory.max_memory_allocated()) / 1e6


def _release(torch: Any, kind: str) -> None:
    gc.collect()
    if kind != "cpu":
        (torch.mps if kind == "mps" else _memory(torch, kind)).empty_cache()
