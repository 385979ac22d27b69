"""Loading a user's Python module from a private copy, calling it, and leaving the process as it was."""

from __future__ import annotations

import ast
import contextlib
import importlib
import importlib.util
import sys
import threading
import traceback
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, TextIO

from physlab.errors import ComputationError, PhyslabError, ResourceError, ValidationError

# Import path, loaded modules, standard output and working folder belong to the whole process: one user function at a
# time, even where a worker has several threads.
_ONE_AT_A_TIME = threading.Lock()
_MODULE = "physlab_user_module"


@contextlib.contextmanager
def user_process(packages: Path, folder: Path, log: TextIO) -> Iterator[None]:
    """Make `packages` importable, `folder` the working folder and `log` the output; undo it all afterwards.

    Modules of the same names that were loaded before are set aside, so that the user's own are found.
    """
    own = {path.stem for path in packages.iterdir()} | {_MODULE}

    def is_own(name: str) -> bool:
        return name.partition(".")[0] in own

    with _ONE_AT_A_TIME:
        aside = {name: sys.modules.pop(name) for name in list(sys.modules) if is_own(name)}
        sys.path.insert(0, str(packages))
        importlib.invalidate_caches()
        try:
            with contextlib.chdir(folder), contextlib.redirect_stdout(log), contextlib.redirect_stderr(log):
                yield
        finally:
            sys.path[:] = [folder for folder in sys.path if folder != str(packages)]
            for name in [name for name in sys.modules if is_own(name)]:
                del sys.modules[name]
            sys.modules.update(aside)


def load_module(path: Path) -> ModuleType:
    """Run a module's file and return the module; call it inside `user_process`.

    Raises:
        ValidationError: It is not a Python file, or not Python.
    """
    spec = importlib.util.spec_from_file_location(_MODULE, path)
    if spec is None or spec.loader is None or path.suffix != ".py":
        raise ValidationError(f"'{path.name}' is not a Python module.", hint="Give a .py file.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[_MODULE] = module
    try:
        ast.parse(path.read_bytes())
    except (SyntaxError, ValueError) as error:
        line = f" line {error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
        raise ValidationError(f"'{path.name}'{line} is not valid Python: {error}.", hint="Correct the file.") from error
    spec.loader.exec_module(module)
    return module


def call_user(work: Callable[[], Any], code: Sequence[Path], what: str) -> Any:
    """Do something that runs user code, and translate what it raises.

    Args:
        work: Loads or calls the user's module.
        code: The folders that hold the user's files.
        what: What was tried, for the message.

    Raises:
        ComputationError: With the user's own line, and the traceback from there on.
        ResourceError: It ran out of memory.
    """
    try:
        return work()
    except PhyslabError:
        raise
    except MemoryError as error:
        raise ResourceError(
            f"{what} ran out of memory.",
            hint="Make it smaller, or raise resources.memory_gb of this node.",
            details={"ended": "out_of_memory"},
        ) from error
    except SystemExit as error:
        frames = traceback.extract_tb(error.__traceback__)
        if _own_name(frames[-1], code) is None:
            raise  # somebody stops this process; that is not the user's doing
        raise _failure(error, code, what) from error
    except Exception as error:  # the boundary to the user's code
        raise _failure(error, code, what) from error


def _own_name(frame: traceback.FrameSummary, code: Sequence[Path]) -> str | None:
    """Return the user's name for the file of a frame, or None when the file is not the user's."""
    path = Path(frame.filename)
    return next((path.relative_to(folder).as_posix() for folder in code if path.is_relative_to(folder)), None)


def _failure(error: BaseException, code: Sequence[Path], what: str) -> ComputationError:
    frames = traceback.extract_tb(error.__traceback__)
    own = [index for index, frame in enumerate(frames) if _own_name(frame, code)]
    said = "".join(traceback.format_exception_only(error)).strip()
    if not own:
        return ComputationError(f"{what} failed: {said}.", hint="Check its arguments.", details={"exception": said})
    frame, shown = frames[own[-1]], traceback.StackSummary.from_list(frames[own[0] :]).format()
    text = "".join([*shown, said, "\n"])
    for folder in code:
        text = text.replace(f"{folder}/", "")
    name = _own_name(frame, code)
    return ComputationError(
        f"{what} failed at {name}:{frame.lineno}: {said}.",
        hint=f"{name}:{frame.lineno}, in {frame.name}: {frame.line}",
        details={"exception": type(error).__name__, "file": name, "line": frame.lineno, "traceback": text},
    )


def public_functions(module: ModuleType) -> Collection[str]:
    """Return the names of the functions that a module defines itself."""
    return [name for name, value in vars(module).items() if callable(value) and not name.startswith("_")]


def name_modules(files: Iterable[str]) -> dict[str, str]:
    """Return file names for modules: `helper` and `helper.py` are `helper.py`, `pkg.part` is `pkg/part.py`.

    Raises:
        ValueError: A name is not that of a module.
    """
    found = {}
    for name in files:
        module = name.removesuffix(".py").replace("/", ".")
        if not all(part.isidentifier() for part in module.split(".")):
            raise ValueError(f"'{name}' is not the name of a module; write helper or helper.py")
        found[name] = module.replace(".", "/") + ".py"
    return found
