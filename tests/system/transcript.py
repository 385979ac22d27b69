"""The documentation as a script: its files are written, its commands run, its output is held against what came.

A `console` block is a transcript: `$ ` begins a command, `> ` continues it, the rest is output in which `…` stands for
anything. `console fails` says that the block's last command must fail. A block with a file name, such as
`yaml pendulum.yaml`, is that file.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

MARK = "@@@ physlab transcript"
_FENCE = re.compile(r"^```(?P<info>[^\n`]+)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass
class Step:
    """A command with the output that the text promises."""

    command: str
    fails: bool = False
    output: list[str] = field(default_factory=list)


def read(text: str) -> Iterator[Step]:
    """Yield the steps of a page; a file is the command that writes it."""
    for block in _FENCE.finditer(text):
        language, *rest = block["info"].split()
        if language == "console":
            steps = list(_commands(block["body"]))
            steps[-1].fails = rest == ["fails"]
            yield from steps
        elif rest:
            [name] = rest
            yield Step(f"mkdir -p \"$(dirname {name})\" && cat >{name} <<'END OF FILE'\n{block['body']}END OF FILE")


def _commands(body: str) -> Iterator[Step]:
    step: Step | None = None
    for line in body.splitlines():
        if line.startswith("$ "):
            if step is not None:
                yield step
            step = Step(line[2:].split("  # ")[0].rstrip())
        elif line.startswith("> ") and step is not None and not step.output:
            step.command += "\n" + line[2:]
        elif step is not None and line.strip():
            step.output.append(line)
    assert step is not None, f"a console block without a command: {body!r}"
    yield step


def play(
    page: Path, folder: Path, environment: Mapping[str, str], *, skip: Collection[str] = (), limit_s: float = 280
) -> None:
    """Run a page in a folder.

    Raises:
        AssertionError: A command succeeds or fails against the text, or prints something else.
    """
    steps = [step for step in read(page.read_text(encoding="utf-8")) if step.command not in skip]
    assert steps, f"{page} has no commands"
    script = "exec 2>&1 </dev/null\n" + "".join(
        f"{step.command}\ncode=$?; echo; echo '{MARK}' $code\n" for step in steps
    )
    told = {"stdout": subprocess.PIPE, "text": True, "timeout": limit_s}
    done = subprocess.run(["bash", "-c", script], cwd=folder, env=environment, check=False, **told)
    parts = re.split(rf"\n?{MARK} (\d+)\n", done.stdout)
    for index, step in enumerate(steps):
        said, code = parts[2 * index], int(parts[2 * index + 1])
        shown = f"{page.name}: $ {step.command}\n{said}\n(exit code {code})"
        assert bool(code) == step.fails, shown
        wanted = ".*?".join(re.escape(_flat(part)) for part in "\n".join(step.output).split("…"))
        wanted = wanted.replace(r"\ .*?", ".*?").replace(r".*?\ ", ".*?")
        assert re.search(wanted, _flat(said), re.DOTALL), f"{shown}\nThe text promises:\n" + "\n".join(step.output)


def _flat(text: str) -> str:
    return re.sub(r"\s+", " ", text)
