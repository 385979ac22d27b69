"""What the machine is said to compute on, and that this is asked anew each time."""

from __future__ import annotations

from pathlib import Path

import pytest

from physlab import device, service
from physlab.errors import ValidationError
from physlab.spelling import read_call
from tests.unit.conftest import open_lab

CALL = {"tool": "accel_caps"}


def test_it_tells_of_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_lab(tmp_path) as lab:
        told = []
        for found in ((), ("cuda",), ()):
            monkeypatch.setattr(device, "accelerators", lambda found=found: found)
            told.append(service.answer(lab, read_call(CALL, lab.vocabulary), tmp_path).as_object())
    assert [(one["active"], one["device"], one["mode"]) for one in told] == [
        (False, "cpu", "cpu"), (True, "cuda", "gpu"), (False, "cpu", "cpu"),
    ]  # fmt: skip
    assert told[1]["accelerators"] == ["cuda"] and told[1]["capabilities"] == ["cuda", "cpu"]
    assert all(one["meta"]["cached"] is False and one["cores"] >= 1 for one in told)


def test_the_lab_may_forbid_accelerators(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "accelerators", lambda: ("cuda",))
    with open_lab(tmp_path, device={"mode": "cpu"}) as lab:
        told = service.answer(lab, read_call(CALL, lab.vocabulary), tmp_path).as_object()
        assert (told["active"], told["device"], told["accelerators"]) == (False, "cpu", ["cuda"])
        with pytest.raises(ValidationError, match="unknown parameter 'gpu'"):
            service.answer(lab, read_call({**CALL, "gpu": 1}, lab.vocabulary), tmp_path)
