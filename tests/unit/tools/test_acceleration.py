"""Accelerators: batches that are halved when memory runs out, then the CPU, each with a word."""

from __future__ import annotations

from pathlib import Path

import pytest

from physlab.errors import ResourceError, ValidationError
from physlab.model import Visuals
from physlab.tools import acceleration
from physlab.tools.acceleration import fit_batch, run_where_it_fits, single_thread
from physlab.tools.context import Context

torch = pytest.importorskip("torch", reason="PyTorch is not installed (pip install torch)")


@pytest.fixture
def context(tmp_path: Path) -> Context:
    return Context(lambda: tmp_path, Visuals(static=False, series=False, animation=False))


def run(context: Context, work: object, batch: int = 256) -> object:
    return run_where_it_fits(work, context, batch=batch, bytes_per_sample=1.0, purpose="A test")  # type: ignore[arg-type]


def test_the_batch_is_halved_until_it_fits(context: Context) -> None:
    tried = []

    def work(device: str, batch: int) -> int:
        tried.append((device, batch))
        if batch > 64:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")
        return batch

    assert run(context, work) == 64
    assert tried == [("cpu", 256), ("cpu", 128), ("cpu", 64)]
    assert len(context.warnings) == 2 and "now 64" in context.warnings[1]
    assert context.meta["batch_size"] == 64 and context.meta["device"] == "cpu"


def test_the_cpu_is_the_last_resort(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    context.device = "cuda"
    monkeypatch.setattr(acceleration, "_present", lambda torch, context, purpose: "cuda")
    monkeypatch.setattr(acceleration, "free_bytes", lambda torch, kind: 10**9)
    for name in ("_reset_peak", "_release"):
        monkeypatch.setattr(acceleration, name, lambda torch, kind: None)
    tried = []

    def work(device: str, batch: int) -> str:
        tried.append((device, batch))
        if device == "cuda":
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return device

    assert run(context, work, batch=128) == "cpu"
    assert tried == [("cuda", 128), ("cuda", 64), ("cuda", 32), ("cpu", 128)]
    assert context.meta["device"] == "cpu" and context.meta["device_fallback"].startswith("cuda: its memory")
    assert len(context.warnings) == 3


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: 8 bytes")])
def test_nowhere_enough_memory_is_an_error(context: Context, error: Exception) -> None:
    def work(device: str, batch: int) -> None:
        raise error

    with pytest.raises(ResourceError, match="batches of 32 on the CPU"):
        run(context, work)


@pytest.mark.parametrize("error", [RuntimeError("shapes differ"), ValidationError("out of memory of names")])
def test_other_errors_pass(context: Context, error: Exception) -> None:
    def work(device: str, batch: int) -> None:
        raise error

    with pytest.raises(type(error), match=str(error)):
        run(context, work)
    assert not context.warnings


def test_a_device_out_of_reach_is_replaced_and_told(context: Context) -> None:
    if torch.cuda.is_available() or torch.xpu.is_available():
        pytest.skip("this machine has such an accelerator")
    context.device = "xpu"
    assert run(context, lambda device, batch: device) == "cpu"
    assert "cannot reach it" in context.meta["device_fallback"] and "instead of xpu" in context.warnings[0]


def test_a_batch_is_sized_beforehand() -> None:
    assert fit_batch(1024, 100.0, 10**9) == 1024
    assert fit_batch(1024, 100.0, 102_400) == 512  # half of the free memory holds 512 samples of 100 bytes
    assert fit_batch(1024, 1e9, 10**6) == 32
    assert fit_batch(1024, 1e9, None) == 1024


def test_a_single_thread_is_given_back() -> None:
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    with single_thread(torch):
        assert torch.get_num_threads() == 1 and torch.are_deterministic_algorithms_enabled()
    assert (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()) == before
