"""The tables of the registry: built-in tools are imported when they are asked for, not before."""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from physlab.tools.registry import Tool


class Shelf(dict[str, "Tool"]):
    """Tools by name. A name that modules were promised for is there from the start, and they are imported with it."""

    def __init__(self) -> None:
        super().__init__()
        self._modules: dict[str, tuple[str, ...]] = {}
        self._order: list[str] = []
        self._filling: set[str] = set()
        self._lock = threading.RLock()

    def promise(self, modules: Mapping[str, tuple[str, ...]]) -> None:
        """Say which modules announce which tools, in the order in which people see them."""
        fresh = {name: names for name, names in modules.items() if name not in self._order}
        self._modules |= fresh
        self._order.extend(fresh)

    def fill(self, name: str) -> None:
        """Import the modules of a tool."""
        if name in self._modules:
            with self._lock:  # whoever comes second waits until the first is done
                if name in self._filling:  # one of its own modules asks while it is imported
                    return
                self._filling.add(name)
                try:
                    for module in self._modules.get(name, ()):
                        importlib.import_module(module)
                    self._modules.pop(name, None)
                finally:
                    self._filling.discard(name)

    def fill_all(self) -> None:
        """Import everything."""
        for name in list(self._modules):
            self.fill(name)

    def setdefault(self, name: str, tool: Any = None) -> Tool:
        """Announce a tool. One of another package may add to a built-in one, which is imported then."""
        if not any(module in sys.modules for module in self._modules.get(name, ())):
            self.fill(name)
        return super().setdefault(name, tool)

    def announced(self, name: str) -> Tool:
        """Return a tool for its own modules: as it is, without waiting for who imports it, who may wait for them."""
        return super().__getitem__(name) if super().__contains__(name) else self[name]

    def __contains__(self, name: object) -> bool:
        return name in self._modules or super().__contains__(name)

    def __getitem__(self, name: str) -> Tool:
        self.fill(name)
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        """Return a tool, or the default."""
        try:
            return self[name]
        except KeyError:
            return default

    def __iter__(self) -> Iterator[str]:
        self.fill_all()
        known = [name for name in self._order if super(Shelf, self).__contains__(name)]
        return iter([*known, *(name for name in super().__iter__() if name not in known)])

    def keys(self) -> Any:
        """Return the names, all tools imported."""
        return dict.fromkeys(self).keys()

    def values(self) -> Any:
        """Return the tools in order."""
        return [self[name] for name in self]

    def items(self) -> Any:
        """Return names and tools in order."""
        return [(name, self[name]) for name in self]

    def __len__(self) -> int:
        self.fill_all()
        return super().__len__()


class Aliases(dict[str, tuple[str, "str | None"]]):
    """Other names of tools and methods; what is not known yet is looked for in the tools of the same first word."""

    def __init__(self, shelf: Shelf) -> None:
        super().__init__()
        self._shelf = shelf

    def _seek(self, name: str) -> bool:
        if super().__contains__(name):
            return True
        if name in self._shelf:
            return False
        first = name.partition("_")[0]
        for tool in [tool for tool in self._shelf._order if tool.partition("_")[0] == first]:
            self._shelf.fill(tool)
        if not super().__contains__(name):
            self._shelf.fill_all()
        return super().__contains__(name)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._seek(name)

    def __getitem__(self, name: str) -> tuple[str, str | None]:
        self._seek(name)
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        """Return what an alias means, or the default."""
        try:
            return self[name]
        except KeyError:
            return default
