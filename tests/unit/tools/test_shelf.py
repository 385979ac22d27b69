"""The tables of the registry, which import tools when they are asked for, and threads that do so at once."""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from physlab.tools import shelf
from physlab.tools.registry import Registry

MODULE = """
from tests.unit.tools.test_shelf import MEETING
registry = MEETING.registry
registry.tool("slow", summary="s")
MEETING.inside.set()  # this module is half imported, by this thread
assert MEETING.filling.wait(20)  # now another thread asks the registry for the tool, and waits for this module
registry.method("slow", "do", params=None, returns=())(lambda params, context: {})
"""
MEETING = SimpleNamespace()


@pytest.fixture
def promised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    (tmp_path / "half_imported.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    MEETING.registry, MEETING.inside, MEETING.filling = Registry(), threading.Event(), threading.Event()
    MEETING.registry.tools.promise({"slow": ("half_imported",)})
    yield MEETING.registry
    sys.modules.pop("half_imported", None)


def test_a_tool_that_is_imported_and_asked_for_at_once_blocks_nobody(
    promised: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    def announced(name: str) -> Any:
        MEETING.filling.set()  # the shelf is locked
        return importlib.import_module(name)

    monkeypatch.setattr(shelf, "importlib", SimpleNamespace(import_module=announced))
    found: list[Any] = []
    importer = threading.Thread(target=importlib.import_module, args=("half_imported",), daemon=True)
    asker = threading.Thread(target=lambda: found.append(promised.find("slow", "do")), daemon=True)
    importer.start()
    assert MEETING.inside.wait(20)
    asker.start()
    for thread in (importer, asker):
        thread.join(20)
    assert not importer.is_alive() and not asker.is_alive() and found[0].name == "do"
