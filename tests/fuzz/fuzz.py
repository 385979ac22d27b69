"""Coverage-guided fuzzing: `python tests/fuzz/fuzz.py formula|name|payload CORPUS [options of libFuzzer]`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import atheris

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
with atheris.instrument_imports(include=["physlab.expressions", "physlab.spelling", "physlab.model.reference"]):
    from tests.fuzz import promises

TARGETS: dict[str, Callable[[str], None]] = {
    "formula": promises.read_formula,
    "name": promises.read_name,
    "payload": promises.read_json,
}


def main() -> None:
    """Fuzz until the options of libFuzzer say stop, or something is found."""
    target = TARGETS[sys.argv.pop(1)]

    def one(data: bytes) -> None:
        target(data.decode("utf-8", "surrogateescape" if data[:1] == b"\xff" else "ignore"))

    atheris.Setup(sys.argv, one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
