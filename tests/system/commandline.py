"""The real command line in a lab of its own, as a person or a program would use it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FOREIGN = ("PHYSLAB_", "PREFECT_", "ACCEL_")


@dataclass(frozen=True)
class CommandLine:
    """Runs `physlab` in one working folder with one home.

    Attributes:
        folder: Where the commands run; the home is its `home`.
        variables: Further environment variables.
    """

    folder: Path
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: text for name, text in os.environ.items() if not name.startswith(FOREIGN)}
        own = {"PHYSLAB_HOME": str(self.home), "XDG_CONFIG_HOME": str(self.folder / "config"), "COLUMNS": "120"}
        return {**kept, **own, "PREFECT_HOME": str(self.folder / "prefect"), **self.variables}

    def start(self, *words: str, **more: Any) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "physlab", *words],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **more,
        )

    def run(self, *words: str, stdin: str = "", code: int = 0) -> subprocess.CompletedProcess[str]:
        process = self.start(*words)
        out, err = process.communicate(stdin)
        assert process.returncode == code, f"exit code {process.returncode}\n{out}\n{err}"
        assert "Traceback" not in out + err, out + err
        return subprocess.CompletedProcess(words, process.returncode, out, err)

    def json(self, *words: str, stdin: str = "", code: int = 0) -> Any:
        """Return the one JSON object on stdout."""
        [line] = self.run(*words, stdin=stdin, code=code).stdout.splitlines()
        found = json.loads(line)
        assert isinstance(found, dict)
        return found
