"""The table of safety caps, and which device a method gets."""

from __future__ import annotations

import pytest

from physlab import device
from physlab.caps import CAPS, enforce, limit
from physlab.errors import ValidationError


def test_the_documented_caps() -> None:
    assert (limit("surface"), limit("field"), limit("frames"), limit("samples")) == (160, 64, 300, 100_000)


@pytest.mark.parametrize("name", CAPS)
def test_each_cap_refuses_what_is_above_it(name: str) -> None:
    enforce(name, limit(name), what="x")
    enforce(name, limit(name) + 1, what="x", allow_large=True)
    with pytest.raises(ValidationError) as raised:
        enforce(name, limit(name) + 1, what="x")
    assert "allow_large" in raised.value.hint
    assert raised.value.details == {"cap": name, "limit": limit(name), "value": limit(name) + 1}


def test_a_lab_moves_its_caps() -> None:
    enforce("field", 100, what="x", overrides={"field": 128})
    with pytest.raises(ValidationError, match="cap of 32"):
        enforce("field", 33, what="x", overrides={"field": 32})


@pytest.mark.parametrize(
    ("wish", "able", "present", "kind", "why"),
    [
        ("auto", ("cuda", "cpu"), ("cuda",), "cuda", None),
        ("auto", ("cuda", "cpu"), (), "cpu", None),
        ("auto", ("cpu",), ("cuda",), "cpu", None),
        ("cpu", ("cuda", "cpu"), ("cuda",), "cpu", None),
        ("gpu", ("mps", "cuda", "cpu"), ("cuda", "mps"), "cuda", None),
        ("auto", ("cuda", "mps", "cpu"), ("mps", "cpu", "cuda"), "mps", None),
        ("auto", ("cuda", "cpu"), ("cpu", "cuda"), "cpu", None),
        ("gpu", ("cuda", "cpu"), ("cpu", "cuda"), "cuda", None),
        ("cuda", ("mps", "cuda", "cpu"), ("cuda", "mps"), "cuda", None),
        ("gpu", ("cpu",), ("cuda",), "cpu", "on the CPU only"),
        ("gpu", ("cuda", "cpu"), (), "cpu", "it has: none"),
        ("hip", ("cuda", "hip", "cpu"), ("cuda",), "cpu", "it has: cuda"),
    ],
)
def test_devices(wish: str, able: tuple[str, ...], present: tuple[str, ...], kind: str, why: str | None) -> None:
    found, reason = device.resolve(wish, able, present)
    assert found == kind
    assert (reason is None) == (why is None) and (why or "") in (reason or "")


def test_this_machine_names_only_known_accelerators() -> None:
    assert set(device.accelerators()) <= set(device.ACCELERATORS)
