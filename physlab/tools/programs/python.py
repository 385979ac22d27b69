"""The `python` tool: a function of the user's own module, shipped by content."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

import numpy as np
from pydantic import AfterValidator, Field, field_validator, model_validator

from physlab.errors import PhyslabError, ValidationError, nearest
from physlab.tools.context import Context
from physlab.tools.handover import hand_over
from physlab.tools.programs.usermodule import call_user, load_module, name_modules, public_functions, user_process
from physlab.tools.registry import Port, registry
from physlab.tools.types import File, InputFile, Params
from physlab.tools.workcopy import NAME, as_array, check_relative, collect, place

RelativePath = Annotated[str, AfterValidator(check_relative)]

registry.tool("python", summary="A function of your own Python module.")


class PythonParams(Params):
    """A module, a function, and its arguments."""

    module: InputFile = Field(description="Path of a .py file; its content enters the key.")
    function: str = Field(pattern=NAME.pattern, description="Name of the function in it.")
    arguments: dict[str, Any] = Field(
        {}, description="Its arguments or references; lists of numbers arrive as numpy arrays, files as paths."
    )
    inputs: dict[str, InputFile] = Field({}, description="Arguments that are files: name → path; they arrive as paths.")
    packages: dict[str, InputFile] | list[InputFile] = Field(
        {}, description="Further .py files that it imports: module name → path, or a list of paths."
    )
    outputs: list[RelativePath] = Field(
        [], description="Files it writes into the working folder, as relative names or globs; each must match a file."
    )
    captions: dict[str, str] = Field({}, description="Captions for the report: output name or glob → one sentence.")

    @field_validator("packages")
    @classmethod
    def _named(cls, packages: dict[str, Any] | list[Any]) -> dict[str, Any] | list[Any]:
        if isinstance(packages, dict):
            name_modules(packages)
        return packages

    @model_validator(mode="after")
    def _once(self) -> PythonParams:
        twice = sorted(self.arguments.keys() & self.inputs.keys())
        if twice:
            raise ValueError(f"'{twice[0]}' is given in 'arguments' and in 'inputs'")
        return self


def name_packages(params: Mapping[str, Any], base_dir: Path) -> dict[str, Any]:
    """Return raw parameters in which a list of packages became a mapping module name → path, so that names count."""
    listed = params.get("packages")
    if not isinstance(listed, list) or not all(isinstance(item, str) for item in listed):
        return dict(params)
    named = {PurePosixPath(item).stem: item for item in listed}
    if len(named) < len(listed):
        raise ValidationError("packages: two files have one name.", hint="Give a mapping: module name → path.")
    return {**params, "packages": named}


PORTS = (
    Port("result", "any", None, "what the function returned, unless that was a mapping: then each item is a field"),
    Port("log", "file", None, "what it printed"),
    Port("files", "object", None, "its declared outputs by name; each is also a field, named by its stem"),
)


@registry.method(
    "python",
    params=PythonParams,
    returns=PORTS,
    open_returns=True,
    time_limit_s=None,
    libraries=("numpy",),
    kind="user",
)
def python(params: PythonParams, context: Context) -> dict[str, Any]:
    """Call a function of your own module and keep what it returns and writes."""
    root = context.workdir.resolve()
    folder, main, packages, log = root / "work", root / "main", root / "packages", root / "log" / "log.txt"
    for made in (folder, main, packages, log.parent):
        made.mkdir()
    module_file, code = place(params.module, main, PurePosixPath(params.module.name).name), (main, packages)
    _place_packages(params, packages)
    arguments = {name: _arrive(value, root / "inputs" / name) for name, value in params.arguments.items()}
    arguments |= {name: _arrive(value, root / "inputs" / name) for name, value in params.inputs.items()}
    label = f"{params.function} of {params.module.name}"
    try:
        with log.open("w", encoding="utf-8", errors="replace") as sink, user_process(packages, folder, sink):
            module = call_user(lambda: load_module(module_file), code, f"Loading {params.module.name}")
            function = _find(module, params)
            ready = _fit(function, arguments, context, folder, label)
            value = call_user(lambda: function(**ready), code, label)
    except PhyslabError as error:
        error.details["log_path"] = str(log)
        raise
    finally:
        kept = context.save(log, "log.txt", role="log", caption=f"What {label} printed.", field="log")
    fields = hand_over(value, context, folder, label, taken=("log", "files"))
    taken = {*fields, *(port.name for port in PORTS)}
    outputs = collect(context, folder, params.outputs, reserved=taken, captions=params.captions, origin=label)
    return {**outputs.fields, **fields, "log": kept, "files": outputs.files}


def _place_packages(params: PythonParams, folder: Path) -> None:
    packages = params.packages
    files = {file.name: file for file in packages} if isinstance(packages, list) else packages
    try:
        names = name_modules(files)
    except ValueError as error:
        raise ValidationError(f"packages: {error}.", hint="Give a mapping: module name → path.") from error
    for name, file in files.items():
        place(file, folder, names[name])


def _arrive(value: Any, folder: Path) -> Any:
    """Return an argument as the function gets it: its own to change, never the store's.

    Lists of numbers become arrays, since small arrays of other nodes arrive as lists.
    """
    if isinstance(value, File):
        return place(value, folder, PurePosixPath(value.name).name)
    array = as_array(value)
    if array is not None:
        if isinstance(array, np.memmap) and array.filename is not None and not array.flags.writeable:
            return np.load(array.filename, mmap_mode="c")  # what the function writes stays in memory
        return array if array.flags.writeable else array.copy()
    if isinstance(value, Mapping):
        return {key: _arrive(item, folder / str(number)) for number, (key, item) in enumerate(value.items())}
    if isinstance(value, list):
        return [_arrive(item, folder / str(number)) for number, item in enumerate(value)]
    return value


def _find(module: Any, params: PythonParams) -> Any:
    found = getattr(module, params.function, None)
    if not callable(found):
        raise ValidationError(
            f"'{params.module.name}' has no function '{params.function}'.",
            hint=nearest(params.function, public_functions(module)),
        )
    return found


def _fit(function: Any, arguments: dict[str, Any], context: Context, folder: Path, label: str) -> dict[str, Any]:
    """Return the arguments, with `workdir`, `rng` and `seed` added where the function takes them."""
    signature = inspect.signature(function)
    offered = {"workdir": folder, "rng": context.rng, "seed": context.seed}
    ready = {name: value for name, value in offered.items() if name in signature.parameters} | arguments
    try:
        signature.bind(**ready)
    except TypeError as error:
        raise ValidationError(
            f"{label} cannot be called with {', '.join(arguments) or 'no arguments'}: {error}.",
            hint=f"It is {function.__name__}{signature}.",
        ) from error
    return ready
