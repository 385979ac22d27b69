"""From a command, script or source file to the argument lists that run it."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from physlab.errors import ValidationError, nearest
from physlab.tools.workcopy import Values

BASH = ("/bin/bash", "-euo", "pipefail")
INTERPRETERS: dict[str, tuple[str, ...]] = {
    ".sh": BASH, ".jl": ("julia",), ".r": ("Rscript",), ".pl": ("perl",), ".m": ("octave",),
}  # fmt: skip
COMPILERS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys((".f", ".for", ".f90", ".f95", ".f03", ".f08"), ("gfortran", "-O2")),
    ".c": ("cc", "-O2"),
    **dict.fromkeys((".cc", ".cpp", ".cxx"), ("c++", "-O2")),
}
_SHELLS = {"sh", "bash", "dash", "zsh", "ksh", "csh", "tcsh", "fish"}
_PLACEHOLDER = re.compile(r"(?<!\$)\{([A-Za-z_][A-Za-z0-9_]*)\}")


def command_steps(command: Sequence[str] | str, values: Values) -> list[list[str]]:
    """Return what runs a command: a list is taken as it is, with `{name}` filled in; one line goes to bash."""
    return [[*BASH, "-c", command]] if isinstance(command, str) else [fill(command, values)]


def script_steps(
    script: Path, args: Sequence[str], build: Sequence[str] | None, values: Values, *, python: str = sys.executable
) -> list[list[str]]:
    """Return what runs a script or source file that lies in the working folder.

    Args:
        script: The file.
        args: Its arguments; `{name}` stands for a value.
        build: The command that makes `./<stem>` from it; None leaves that to its extension.
        values: The values.
        python: The interpreter of a `.py` without a shebang line.

    Raises:
        ValidationError: Nothing says how to run it.
    """
    arguments, suffix = fill(["", *args], values)[1:], script.suffix.lower()
    program = [f"./{script.stem}", *arguments]
    if build is not None:
        return [fill(build, values), program]
    with script.open("rb") as stream:
        head = stream.read(256)
    if head.startswith(b"\x7fELF"):
        script.chmod(0o755)
        return [[f"./{script.name}", *arguments]]
    interpreter = read_shebang(head)
    if interpreter is None and suffix in COMPILERS:
        return [[*COMPILERS[suffix], "-o", script.stem, script.name, "-lm"], program]
    interpreter = interpreter or {".py": (python,), **INTERPRETERS}.get(suffix)
    if interpreter is None:
        raise ValidationError(
            f"'{script.name}' has no shebang line, and its extension does not say how to run it.",
            hint="Begin it with a line like '#!/usr/bin/env python3', or use one of: "
            + ", ".join((".py", *INTERPRETERS, *COMPILERS)),
        )
    return [[*interpreter, f"./{script.name}", *arguments]]


def read_shebang(head: bytes) -> tuple[str, ...] | None:
    """Return the interpreter that the first line of a script names, split as a Unix kernel does."""
    if not head.startswith(b"#!"):
        return None
    words = head[2:].split(b"\n", 1)[0].decode(errors="replace").strip().split(None, 1)
    return tuple(words) or None


def fill(argv: Sequence[str], values: Values) -> list[str]:
    """Return a command with each `{name}` replaced by that value, as part of the same word; `${name}` stays.

    Raises:
        ValidationError: There is no such value, a text would be read as an option, or a shell would read the value.
    """
    filled = []
    for position, word in enumerate(argv):
        names = _PLACEHOLDER.findall(word)
        for name in names:
            if name not in values.texts:
                raise ValidationError(
                    f"The command uses {{{name}}}, and there is no such value.",
                    hint=nearest(name, values.texts) if values.texts else "Give it in 'values'.",
                )
        if names and position and _is_shell_code(argv, position):
            raise ValidationError(
                f"A shell would read the value {{{names[0]}}} as code.",
                hint=f'Write "$PHYSLAB_{names[0].upper()}" there, or hand the value over as a further argument.',
            )
        new = _PLACEHOLDER.sub(lambda match: values.texts[match[1]], word)
        if new.startswith("-") and word.startswith("{") and names[0] not in values.numeric:
            raise ValidationError(
                f"The value {{{names[0]}}} = '{new[:40]}' would be read as an option.",
                hint=f"Write it as --option={{{names[0]}}}, or put './' or '--' in front.",
            )
        filled.append(new)
    return filled


def _is_shell_code(argv: Sequence[str], position: int) -> bool:
    before = argv[position - 1]
    runs_shell = any(Path(word).name in _SHELLS for word in argv[:position])
    return runs_shell and before.startswith("-") and not before.startswith("--") and before.endswith("c")
