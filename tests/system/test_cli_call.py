"""`physlab call TOOL.METHOD NAME=VALUE`: what is typed is what JSON would say."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def call(tmp_path: Path) -> Any:
    env = {"PATH": "/usr/bin:/bin", "PHYSLAB_HOME": str(tmp_path / "home"), "HOME": str(tmp_path)}

    def call(*words: str) -> tuple[int, Any]:
        command = [sys.executable, "-m", "physlab", "call", *words]
        done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
        [line] = done.stdout.splitlines()
        assert "Traceback" not in done.stderr
        return done.returncode, json.loads(line)

    return call


def test_typed_calls(call: Any) -> None:
    assert call("cas.diff", "expr=x^3", "symbol=x", "order=2")[1]["str"] == "6*x"
    assert call("units_convert", 'quantity={"value": 1, "unit": "km"}', "to=m")[1]["output"]["value"] == 1000
    assert call("cas_evaluate", "expr=a=b")[0] == 1  # the value may hold an equals sign
    code, reply = call("plot.function_2d", "f=x^2", "x=[0, 1, 5]", "emit_plots=false")
    assert code == 0 and reply["y"] == [0, 0.0625, 0.25, 0.5625, 1]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("cas.dif", "expr=x"), "Did you mean 'diff'"),
        (("cass", "expr=x"), "Did you mean 'cas'"),
        (("constants_get", "hbar"), "'hbar' is not a new NAME=VALUE"),
        (("constants_get", "name=c", "name=h"), "is not a new NAME=VALUE"),
        (("nothing.json",), "There is no file"),
    ],
)
def test_wrong_words(call: Any, words: tuple[str, ...], said: str) -> None:
    code, reply = call(*words)
    assert code == 1 and said in reply["error"]["message"] + reply["error"]["hint"]
