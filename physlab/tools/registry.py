"""The registry of tools: one decorator, one table.

A tool is a name with methods; a method is a function `(params, context) -> fields` with a parameter model, the
fields it returns, and what it draws. `@method(...)` registers it when its module is imported; tools of other packages
come through the entry point group `physlab.tools`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from physlab.errors import ConfigurationError, ValidationError, nearest
from physlab.model import Visuals
from physlab.tools.shelf import Aliases, Shelf

if TYPE_CHECKING:
    from physlab.tools.context import Context
    from physlab.tools.types import Params

PortKind = Literal[
    "number", "text", "boolean", "array", "list", "object", "image", "animation", "file", "table", "any"
]  # fmt: skip
Kind = Literal["compute", "plot", "data", "lookup", "user", "text"]
NO_VISUALS = Visuals(static=False, series=False, animation=False)


@dataclass(frozen=True)
class Port:
    """One returned field: its kind, its unit, what it means."""

    name: str
    kind: PortKind = "any"
    unit: str | None = None
    description: str = ""


@dataclass(frozen=True)
class Extent:
    """How much work a call is.

    Attributes:
        units: So many pieces of it can be made apart from each other.
        seconds: How long all of it will take, about [s]; the same on every machine, whatever ran before.
    """

    units: int
    seconds: float


@dataclass(frozen=True, eq=False)
class Method:
    """One thing that a tool can do.

    Attributes:
        tool: Tool name.
        name: Method name, None for a single-purpose tool.
        function: `(params, context) -> fields`.
        params: Model of the parameters.
        returns: The fields of the reply.
        open_returns: True when the reply may hold fields that are known only afterwards (user code).
        visuals: What it writes unless the node says otherwise; all false for a method that draws nothing.
        can: Which visual outputs it is able to write.
        time_limit_s: Limit for an interactive call [s]; None takes `resources.walltime_s`.
        keeps_time: True when it stops at its limit by itself, because it has processes to stop.
        inline: True when it is light enough to run in the conductor's own process.
        asks_lab: True when the lab itself answers it, in the conductor's process.
        devices: Device kinds it can use, best first.
        leaves: True when what it makes is meant for others: it gets nothing that may not leave the lab.
        lasting: False when the answer tells of here and now, so that it is never taken from the cache.
        libraries: Distributions whose version enters the key.
        imports: Modules to load before its clock starts: a fresh worker's imports are not the call's time.
        kind: Its colour in pictures.
        caps: Which cap holds for which parameter, so that a request above it is refused before anything runs.
        extent: Tells how much work a call is, from its parameters as `Work` has them and what it is to write; None
            when nothing of it can be divided. A method that has one can be called for some of its units alone
            (`context.share`), and hands in what it made; called with all of that (`context.parts`), it makes its reply.
        expand: Rewrites raw parameters before they are checked, given the folder that relative paths start from.
        summary: First line of the function's docstring.
    """

    tool: str
    name: str | None
    function: Callable[[Any, Context], dict[str, Any]]
    params: type[Params]
    returns: tuple[Port, ...]
    open_returns: bool = False
    visuals: Visuals = NO_VISUALS
    can: Visuals = NO_VISUALS
    time_limit_s: float | None = 10.0
    keeps_time: bool = False
    inline: bool = False
    asks_lab: bool = False
    devices: tuple[str, ...] = ("cpu",)
    leaves: bool = False
    lasting: bool = True
    libraries: tuple[str, ...] = ()
    imports: tuple[str, ...] = ()
    kind: Kind = "compute"
    caps: Mapping[str, str] = field(default_factory=dict)
    extent: Callable[[Mapping[str, Any], Visuals], Extent | None] | None = None
    expand: Callable[[dict[str, Any], Path], dict[str, Any]] | None = None
    summary: str = ""

    @cached_property
    def numeric(self) -> bool:
        """True when the contract asks the node for a visual-output declaration."""
        return any((self.can.static, self.can.series, self.can.animation))

    @property
    def full_name(self) -> str:
        """`tool.method`, or the tool alone."""
        return f"{self.tool}.{self.name}" if self.name else self.tool

    def port(self, name: str) -> Port | None:
        """Return the returned field of that name."""
        return next((port for port in self.returns if port.name == name), None)


@dataclass
class Tool:
    """A named family of methods, and the parameter that names the method in the family's own payloads."""

    name: str
    discriminator: str | None
    summary: str
    methods: dict[str | None, Method] = field(default_factory=dict)
    method_aliases: dict[str, str] = field(default_factory=dict)


@dataclass
class Registry:
    """All tools that this process knows."""

    tools: Shelf = field(default_factory=Shelf)
    aliases: Aliases = field(init=False)

    def __post_init__(self) -> None:
        self.aliases = Aliases(self.tools)

    def tool(
        self, name: str, *, summary: str, discriminator: str | None = None, aliases: Mapping[str, str] | None = None
    ) -> Tool:
        """Announce a tool; `aliases` maps other names of its methods to the real ones."""
        found = self.tools.setdefault(name, Tool(name, discriminator, summary))
        found.method_aliases.update(aliases or {})
        return found

    def alias(self, name: str, tool: str, method: str | None = None) -> None:
        """Make `name` another name of a tool, or of one of its methods."""
        self.aliases[name] = (tool, method)

    def method(self, tool: str, name: str | None = None, **settings: Any) -> Callable[[Any], Any]:
        """Register a function as a method of a tool (a decorator); settings are the attributes of `Method`."""

        def register(function: Callable[[Any, Context], dict[str, Any]]) -> Callable[[Any, Context], dict[str, Any]]:
            if tool not in self.tools:
                raise ConfigurationError(f"The tool '{tool}' was not announced.", hint="Call registry.tool() first.")
            family = self.tools.announced(tool)
            found = family.methods.get(name)
            if found is not None and found.function.__module__ != function.__module__:
                raise ConfigurationError(
                    f"{found.full_name} is announced by {found.function.__module__} and by {function.__module__}.",
                    hint="Give one of the two another name, or uninstall its package.",
                )
            summary = (function.__doc__ or "").strip().split("\n")[0]
            settings.setdefault("visuals", settings.get("can", NO_VISUALS))
            family.methods[name] = Method(tool, name, function, summary=summary, **settings)
            return function

        return register

    def find(self, tool: str, method: str | None = None) -> Method:
        """Return a method by its names.

        Raises:
            ValidationError: The tool or the method is unknown; the hint offers the nearest.
        """
        if tool not in self.tools:
            raise ValidationError(f"The tool '{tool}' does not exist.", hint=nearest(tool, self.tools))
        found = self.tools[tool]
        name = found.method_aliases.get(method, method) if method is not None else None
        if name in found.methods:
            return found.methods[name]
        if None in found.methods and name is not None:
            raise ValidationError(f"The tool '{tool}' has one purpose and no method '{method}'.", hint="Leave it out.")
        asked = f"has no method '{method}'" if method is not None else "needs a method"
        raise ValidationError(
            f"The tool '{tool}' {asked}.", hint=nearest(str(method or ""), (m for m in found.methods if m))
        )


registry = Registry()
