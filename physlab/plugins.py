"""The only reader of entry points: tools that other packages bring."""

from __future__ import annotations

from functools import cache
from importlib.metadata import entry_points

from physlab.errors import ConfigurationError
from physlab.tools import Registry, load_tools

GROUP = "physlab.tools"


@cache
def all_tools() -> Registry:
    """Return the registry with the built-in tools and those of installed packages.

    A package announces a module that registers its methods when imported:

        [project.entry-points."physlab.tools"]
        mytools = "mypackage.tools"

    Raises:
        ConfigurationError: A package's module cannot be imported.
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
    return registry
