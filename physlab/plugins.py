"""Tools that are not ours: the only reader of entry points, and of the files that a lab's settings name."""

from __future__ import annotations

import importlib.util
import sys
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path

from physlab.errors import ConfigurationError
from physlab.settings import load_settings
from physlab.tools import Registry, load_tools

GROUP = "physlab.tools"
_PREFIX = "physlab_tools_"


@cache
def all_tools() -> Registry:
    """Return the registry with the built-in tools, those of installed packages, and those of the lab's own files.

    A package announces a module that registers its methods when imported:

        [project.entry-points."physlab.tools"]
        mytools = "mypackage.tools"

    A lab names files in `physlab.toml`: `tools = ["optics.py"]`.

    Raises:
        ConfigurationError: A module or a file cannot be loaded.
    """
    registry = load_tools()
    for point in entry_points(group=GROUP):
        try:
            point.load()
        except Exception as error:  # the boundary to other packages' code
            raise ConfigurationError(
                f"The tools '{point.name}' of {point.dist and point.dist.name} cannot be loaded: {error}.",
                hint="Mend or uninstall that package.",
            ) from error
    for path in load_settings().tools:
        _load(path)
    return registry


def _load(path: Path) -> None:
    """Run a file as a module of its own, under a name by which its source is found again."""
    name = _PREFIX + path.stem
    known = getattr(sys.modules.get(name), "__file__", None)
    if known is not None and Path(known) != path:
        raise ConfigurationError(f"The files {known} and {path} have one name.", hint="Rename one of the two.")
    spec = importlib.util.spec_from_file_location(name, path) if path.suffix == ".py" and path.is_file() else None
    if spec is None or spec.loader is None:
        raise ConfigurationError(
            f"The file of tools '{path}' is not there, or is not Python.", hint="Mend `tools` in physlab.toml."
        )
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # the boundary to the lab's own code
        del sys.modules[name]
        raise ConfigurationError(
            f"The file of tools '{path}' cannot be loaded: {type(error).__name__}: {error}.", hint="Mend that file."
        ) from error
