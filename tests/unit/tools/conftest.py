"""Calling one method directly, without store and run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from physlab.model import Visuals
from physlab.tools import load_tools
from physlab.tools.call import call_method
from physlab.tools.context import Context


@dataclass
class Answer:
    """Fields and context of a call; `answer["psi"]` is a field."""

    fields: dict[str, Any]
    context: Context

    def __getitem__(self, name: str) -> Any:
        return self.fields[name]


@pytest.fixture
def ask(tmp_path: Path) -> Callable[..., Answer]:
    """`ask("quantum", "solve", problem="hydrogen", n=2)`; `_visuals=dict(static=True)` asks for figures."""
    counter = iter(range(1000))

    def ask(
        tool: str, method: str | None = None, /, _visuals: dict[str, bool] | None = None, _seed: int = 0, **params: Any
    ) -> Answer:
        workdir = tmp_path / f"call{next(counter)}"
        workdir.mkdir()
        wanted = {"static": False, "series": False, "animation": False, **(_visuals or {})}
        context = Context(scratch=lambda: workdir, visuals=Visuals(**wanted), seed=_seed)
        return Answer(call_method(load_tools().find(tool, method), params, context), context)

    return ask
