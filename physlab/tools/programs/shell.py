"""The `shell` tool: any command or script of the user's own, in a private working copy."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import sys
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field, field_validator, model_validator

from physlab.errors import ComputationError, ConfigurationError, TimeLimitError, ValidationError
from physlab.tools.context import Context
from physlab.tools.process import Warn, describe_exit, find_program, run_process, search_path
from physlab.tools.programs.commands import command_steps, script_steps
from physlab.tools.programs.container import INSIDE, RUNTIMES, wrap
from physlab.tools.registry import Port, registry
from physlab.tools.types import File, InputFile, Params
from physlab.tools.workcopy import NAME, check_relative, collect, place, tail, write_values

TAIL_LINES = 20
WARN_S, WARN_PART = 30.0, 0.2
"""A program that saves checkpoints is warned so long before its limit [s], or such a part of it, what is less."""
_GLOB = re.compile(r"[*?\[]")
RelativePath = Annotated[str, AfterValidator(check_relative)]

registry.tool("shell", summary="Any command, script or program of your own.")


class ShellParams(Params):
    """A command or a script, what it reads, and what it writes."""

    command: list[str] | str | None = Field(
        None, description="Program and arguments as a list (no shell reads it; {name} is a value), or a line for bash."
    )
    script: InputFile | None = Field(
        None, description="Script, run by its shebang or extension, or a Fortran, C or C++ source, compiled first."
    )
    args: list[str] = Field([], description="Arguments of the script; {name} stands for a value.")
    build: list[str] | None = Field(
        None, description="Command that makes the program './<script without its extension>' from the script."
    )
    inputs: dict[str, InputFile] | list[str] = Field(
        {}, description="Files it reads: name in the working folder → path or from:node.field; or paths and globs."
    )
    values: dict[str, Any] = Field(
        {},
        description="Values it gets as PHYSLAB_<NAME> and in inputs.json; lists of numbers as <name>.npy and .csv too.",
    )
    outputs: list[RelativePath] = Field(
        [], description="Files it writes, as relative names or globs; each must match a file."
    )
    captions: dict[str, str] = Field({}, description="Captions for the report: output name or glob → one sentence.")
    result_json: RelativePath | None = Field(None, description="A JSON file it writes; parsed into 'result'.")
    env: dict[str, str] = Field({}, description="Further environment variables.")
    stdin: str | None = Field(None, description="Text for its standard input.")
    container: str | None = Field(None, description="Container image to run it in (podman, docker or apptainer).")
    checkpoint: list[RelativePath] = Field(
        [],
        description="Files or globs in which it saves where it is when it gets SIGUSR1, shortly before its time limit; "
        "it is then started again with these files in its folder, until it ends by itself.",
    )
    ok_exit_codes: list[int] = Field([0], description="Exit codes that mean success.", min_length=1)

    @field_validator("command")
    @classmethod
    def _spelled(cls, command: list[str] | str | None) -> list[str] | str | None:
        program = command[:1] if isinstance(command, list) else command
        if program is not None and not "".join(program).strip():
            raise ValueError("a command begins with a program")
        if "\0" in "".join(command or ""):
            raise ValueError("a command holds no NUL characters")
        return command

    @field_validator("values", "env")
    @classmethod
    def _named(cls, mapping: dict[str, Any]) -> dict[str, Any]:
        for name, value in mapping.items():
            if not NAME.fullmatch(name):
                raise ValueError(f"'{name}' is not a name; use letters, digits and underscores")
            if isinstance(value, str) and "\0" in value:
                raise ValueError(f"'{name}' holds a NUL character")
        return mapping

    @field_validator("inputs")
    @classmethod
    def _inside(cls, inputs: dict[str, Any] | list[str]) -> dict[str, Any] | list[str]:
        for name in inputs if isinstance(inputs, dict) else ():
            check_relative(name)
        return inputs

    @model_validator(mode="after")
    def _consistent(self) -> ShellParams:
        if (self.command is None) == (self.script is None):
            raise ValueError("give either 'command' or 'script'")
        if self.script is None and (self.args or self.build):
            raise ValueError("'args' and 'build' belong to 'script'; put arguments into the command")
        names = sorted(self.values, key=str.lower)
        for name, other in itertools.pairwise(names):
            if name.lower() == other.lower():
                raise ValueError(f"the values '{name}' and '{other}' would both be PHYSLAB_{name.upper()}; rename one")
        return self


def expand_inputs(params: Mapping[str, Any], base_dir: Path) -> dict[str, Any]:
    """Return raw parameters in which a list of input paths and globs became a mapping name → path.

    The planner calls this, so that every file enters the key. Names are relative to `base_dir`; a file outside it
    keeps its own name.

    Raises:
        ValidationError: A path or glob matches no file, or two files get one name.
    """
    listed = params.get("inputs")
    if not isinstance(listed, list):
        return dict(params)
    base, found = base_dir.resolve(), dict[str, str]()
    for item in listed:
        if not isinstance(item, str) or item.startswith("from:"):
            raise ValidationError(
                f"inputs: {item!r} is not a path or glob.",
                hint='Name files of other nodes: inputs: {"profile.csv": "from:node.field"}.',
            )
        for path in _expand(item, base):
            name = path.relative_to(base).as_posix() if path.is_relative_to(base) else path.name
            if found.setdefault(name, str(path)) != str(path):
                raise ValidationError(f"inputs: two files are called '{name}'.", hint="Use a mapping name → path.")
    return {**params, "inputs": found}


def _expand(item: str, base: Path) -> list[Path]:
    start = Path(item).expanduser()
    root = Path(start.anchor) if start.is_absolute() else base
    pattern = str(start.relative_to(start.anchor))
    found = sorted(root.glob(pattern)) if _GLOB.search(item) else [root / pattern]
    files = [Path(os.path.normpath(path)) for path in found if path.is_file()]
    if not files:
        raise ValidationError(f"inputs: no file matches '{item}' in {base}.", hint="Check the path or the pattern.")
    return files


PORTS = (
    Port("exit_code", "number", "1", "exit status of the command"),
    Port("log", "file", None, "everything it printed"),
    Port("stdout", "text", None, "the last 64 kB of what it printed"),
    Port("files", "object", None, "its declared outputs by name; each is also a field, named by its stem"),
    Port("result", "object", None, "content of result_json"),
)


@registry.method(
    "shell",
    params=ShellParams,
    returns=PORTS,
    open_returns=True,
    expand=expand_inputs,
    time_limit_s=None,
    keeps_time=True,
    kind="user",
)
def shell(params: ShellParams, context: Context) -> dict[str, Any]:
    """Run a command, script or program of your own and keep what it writes."""
    job = _Job(params, context)
    try:
        code = job.run_all()
    finally:
        log = context.save(job.log, "log.txt", role="log", caption=f"What {job.label} printed.", field="log")
    wanted = dict.fromkeys((*params.outputs, *([params.result_json] if params.result_json else [])))
    outputs = collect(
        context,
        job.folder,
        list(wanted),
        given=job.given,
        reserved={port.name for port in PORTS},
        captions=params.captions,
        origin=job.label,
    )
    fields = {**outputs.fields, "exit_code": code, "log": log, "stdout": tail(job.log), "files": outputs.files}
    if params.result_json:
        fields["result"] = _parse(outputs.files[params.result_json])
    return fields


def _parse(file: File) -> Any:
    def refuse(constant: str) -> Any:
        raise ValueError(f"{constant} is not JSON; write null or a finite number")

    try:
        return json.loads(file.path.read_bytes(), parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise ComputationError(
            f"The result file '{file.name}' is not valid JSON: {error}.", hint="Correct the program that writes it."
        ) from error


class _Job:
    """One call: its folders, its commands, its environment."""

    def __init__(self, params: ShellParams, context: Context) -> None:
        self.params, self.context = params, context
        self.warning = Warn(min(WARN_S, WARN_PART * context.time_limit_s)) if params.checkpoint else None
        root = context.workdir.resolve()
        self.folder, self.log, self.scratch = root / "work", root / "log" / "log.txt", root / "tmp"
        for folder in (self.folder, self.log.parent, self.scratch):
            folder.mkdir()
        self.log.touch()
        self.given = self._place_inputs()
        for name, path in context.checkpoint.items():
            target = self.folder / check_relative(name)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)  # a copy: the program goes on writing it
        self.values = write_values(params.values, self.folder)
        self.given.update(self.values.files)
        self.stdin: Path | None = None
        if params.stdin is not None:
            self.stdin = root / "stdin.txt"
            self.stdin.write_text(params.stdin)

    @property
    def label(self) -> str:
        """What the user would call it."""
        if self.params.script is not None:
            return self.params.script.name
        words = self.params.command if isinstance(self.params.command, list) else str(self.params.command).split()
        return Path(words[0]).name

    def _place_inputs(self) -> set[str]:
        inputs, script = self.params.inputs, self.params.script
        if isinstance(inputs, list):
            raise ValidationError("inputs: the list of paths was not expanded.", hint="Give a mapping name → path.")
        named = {**({script.name: script} if script else {}), **inputs}
        if script is not None and script.name in inputs:
            raise ValidationError(f"An input has the script's name '{script.name}'.", hint="Give it another name.")
        for name, file in named.items():
            place(file, self.folder, name)
        return set(named)

    def run_all(self) -> int:
        """Run what the parameters ask for within one time limit; return the last exit code."""
        params, started, code = self.params, time.monotonic(), 0
        if params.script is None:
            steps = command_steps(params.command or "", self.values)
        else:
            python = "python3" if params.container else sys.executable
            script = self.folder / params.script.name
            steps = script_steps(script, params.args, params.build, self.values, python=python)
        for number, argv in enumerate(steps, start=1):
            left = max(0.0, self.context.time_limit_s - (time.monotonic() - started))
            last = number == len(steps)
            code = self._run(argv, left, stdin=self.stdin if last else None, warning=self.warning if last else None)
            if last and code not in params.ok_exit_codes and self.warning and self.warning.given:
                self._save(time.monotonic() - started)
            if code not in (params.ok_exit_codes if last else (0,)):
                what = f"'{self.label}'" if last else f"The build step '{argv[0]}' of '{self.label}'"
                raise self._failure(what, code)
        return code

    def _save(self, after_s: float) -> None:
        """End this attempt with what the program saved, for the next one to go on from.

        Args:
            after_s: How long it ran [s].

        Raises:
            TimeLimitError: It saved something.
        """
        found = {path.relative_to(self.folder).as_posix(): str(path) for pattern in self.params.checkpoint
                 for path in sorted(self.folder.glob(pattern)) if path.is_file() and not path.is_symlink()}  # fmt: skip
        if found:
            raise TimeLimitError(
                f"'{self.label}' saved where it was after {after_s:.0f} s ({', '.join(found)}).",
                hint="It goes on from there.",
                details={"ended": "checkpoint", "checkpoint_paths": found, "log_path": str(self.log)},
            )

    def _run(self, argv: Sequence[str], limit_s: float, stdin: Path | None, warning: Warn | None) -> int:
        cleanup: tuple[str, ...] = ()
        env: dict[str, str] | None = {**self._host_environment(), **self._environment()}
        if self.params.container is not None:
            launch = self._contained(self.params.container, argv)
            argv, cleanup, env = launch.argv, launch.cleanup, None  # the runtime needs the environment we live in
        try:
            return run_process(
                argv, cwd=self.folder, env=env, log=self.log, stdin=stdin, limit_s=limit_s, cleanup=cleanup,
                warning=warning,
            )  # fmt: skip
        except TimeLimitError as error:
            limit = self.context.time_limit_s
            self._save(limit)
            words, details = self._last_words()
            raise TimeLimitError(
                f"'{self.label}' ran longer than its time limit of {limit:g} s and was stopped.{words}",
                hint=error.hint,
                details={"limit_s": limit, **details},
            ) from error
        except ConfigurationError as error:
            error.details.update(self._last_words()[1])
            raise

    def _contained(self, image: str, argv: Sequence[str]) -> Any:
        return wrap(
            find_program(RUNTIMES),
            image,
            argv,
            folder=self.folder,
            env={"HOME": INSIDE, **self._environment()},
            name=f"physlab-{uuid.uuid4().hex}",
            user=f"{os.getuid()}:{os.getgid()}",
            cpu=self.context.cpu,
            gpu=self.context.device in ("cuda", "gpu"),
        )

    def _host_environment(self) -> dict[str, str]:
        """Return the few variables of this machine that a command gets; nothing else is inherited, least a secret."""
        return {"PATH": search_path(), "HOME": str(Path.home()), "TMPDIR": str(self.scratch)}

    def _environment(self) -> dict[str, str]:
        own = {"LANG": "C.UTF-8", "OMP_NUM_THREADS": str(self.context.cpu), "PHYSLAB_SEED": str(self.context.seed)}
        return {**own, **self.values.environment(), **self.params.env}

    def _failure(self, what: str, code: int) -> ComputationError:
        words, details = self._last_words()
        hint = "Read the log, correct the command, run again."
        if code in (-9, 137):
            hint = "Perhaps it ran out of memory: raise resources.memory_gb, or make the work smaller."
        how = describe_exit(code)
        return ComputationError(
            f"{what} ended with {how}.{words}", hint=hint, details={"exit_code": code, "ended_by": how, **details}
        )

    def _last_words(self) -> tuple[str, dict[str, Any]]:
        lines = tail(self.log).rstrip("\n").split("\n")[-TAIL_LINES:]
        said = "\n".join(lines)
        words = f" Its last lines:\n{said}\n" if said.strip() else " It printed nothing."
        return words, {"log_path": str(self.log), "log_tail": lines}
