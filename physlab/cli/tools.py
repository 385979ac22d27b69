"""`tools`: what a node can compute, its parameters, and what it returns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from physlab.cli.options import Json
from physlab.cli.output import escape, table, voice

if TYPE_CHECKING:
    from physlab.tools import Method, Registry


class ByName(TyperGroup):
    """The commands of `tools`; the name of a method shows it."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command that is meant."""
        if args and args[0] not in self.commands and _is_tool(args[0]):
            args = ["show", *args]
        return super().resolve_command(ctx, args)


def _is_tool(name: str) -> bool:
    from physlab.plugins import all_tools

    registry = all_tools()
    return name.partition(".")[0] in {*registry.tools, *registry.aliases}


app = typer.Typer(name="tools", help="What a node can compute.", invoke_without_command=True, cls=ByName)


@app.callback()
def by_default(context: typer.Context) -> int:
    """What a node can compute."""
    return list_tools() if context.invoked_subcommand is None else 0


@app.command("list")
def list_tools(json: Json = False) -> int:
    """List the tools and their methods."""
    from physlab.plugins import all_tools

    registry = all_tools()
    methods = [method for tool in registry.tools.values() for method in tool.methods.values()]
    if voice.as_json:
        listed = [{"name": item.full_name, "summary": item.summary, "kind": item.kind} for item in methods]
        voice.reply({"tools": listed})
        return 0
    for tool in registry.tools.values():
        voice.say(f"[bold]{tool.name}[/bold]  [dim]{escape(tool.summary)}[/dim]")
        for method in tool.methods.values():
            if method.name:
                voice.say(f"  {method.full_name:<28} [dim]{escape(method.summary)}[/dim]")
    voice.say("")
    voice.next("physlab tools show plot.function_2d")
    return 0


@app.command()
def show(
    name: Annotated[str, typer.Argument(metavar="TOOL.METHOD", help="For instance cas.diff.")], json: Json = False
) -> int:
    """Show a method: its parameters, and the fields it returns."""
    from physlab.plugins import all_tools

    registry = all_tools()
    tool, _, method = name.partition(".")
    if tool in registry.aliases:
        tool, implied = registry.aliases[tool]
        method = implied or method
    if tool in registry.tools and not method and None not in registry.tools[tool].methods:
        return _show_tool(registry, tool)
    found = registry.find(tool, method or None)
    if voice.as_json:
        voice.reply(describe(found))
    else:
        _show_method(found)
    return 0


def _show_tool(registry: Registry, tool: str) -> int:
    methods = registry.tools[tool].methods.values()
    if voice.as_json:
        voice.reply({"name": tool, "methods": [describe(method) for method in methods]})
        return 0
    voice.say(f"[bold]{tool}[/bold]  [dim]{escape(registry.tools[tool].summary)}[/dim]", "")
    voice.say(table(("method", "what it does"), [[method.full_name, method.summary] for method in methods]), "")
    voice.next(f"physlab tools show {next(iter(methods)).full_name}")
    return 0


def describe(method: Method) -> dict[str, Any]:
    """Return a method as plain values, its parameters as a JSON schema."""
    from physlab.tools.examples import example

    return {
        "name": method.full_name,
        "summary": method.summary,
        "kind": method.kind,
        "params": method.params.model_json_schema(),
        "returns": [
            {"name": port.name, "kind": port.kind, "unit": port.unit, "description": port.description}
            for port in method.returns
        ],
        "example": example(method),
        "open_returns": method.open_returns,
        "visual_outputs": {"default": method.visuals.model_dump(), "can": method.can.model_dump()},
        "time_limit_s": method.time_limit_s,
        "devices": list(method.devices),
        "caps": dict(method.caps),
    }


def _show_method(method: Method) -> None:
    from physlab.tools.examples import command, example
    from physlab.tools.types import EMIT_FLAGS

    schema = method.params.model_json_schema()
    required = schema.get("required", [])
    idle = {flag for flag, what in EMIT_FLAGS.items() if not getattr(method.can, what)}
    rows = [
        [
            name,
            _type(field),
            "[needed]" if name in required else _default(field),
            _range(field, method.caps.get(name)),
            field.get("unit", ""),
            field.get("description", ""),
        ]
        for name, field in sorted(schema["properties"].items(), key=lambda item: _place(item[0], required))
        if name not in idle
    ]
    voice.say(f"[bold]{method.full_name}[/bold]  [dim]{escape(method.summary)}[/dim]", "")
    voice.say(table(("parameter", "type", "default", "range", "unit", "meaning"), rows), "")
    fields = [[port.name, port.kind, port.unit or "", port.description] for port in method.returns]
    if method.open_returns:
        fields.append(["…", "any", "", "further fields, known when it has run"])
    voice.say(table(("returns", "kind", "unit", "meaning"), fields), "")
    voice.fact("devices", ", ".join(method.devices))
    if method.time_limit_s:
        voice.fact("limit", f"{method.time_limit_s:g} s")
    shown = example(method)
    if shown is not None and "samples/" not in str(shown):
        voice.next(command(method.full_name, shown))


def _place(name: str, required: list[str]) -> int:
    """Put what is needed first, and what every method has last."""
    from physlab.tools.types import VisualParams

    return 0 if name in required else 2 if name in VisualParams.model_fields else 1


def _type(field: dict[str, Any]) -> str:
    if "$ref" in field:
        return str(field["$ref"]).rpartition("/")[2]
    if "enum" in field or "const" in field:
        return " | ".join(map(str, field.get("enum", [field.get("const")])))
    choices = field.get("anyOf") or field.get("oneOf")
    if choices:
        kinds = dict.fromkeys(_type(item) for item in choices if item.get("type") != "null")
        return " | ".join(kinds)
    kind = str(field.get("format") or field.get("type", "any"))
    items = field.get("items")
    return f"list of {_type(items)}" if kind == "array" and items else "list" if kind == "array" else kind


def _default(field: dict[str, Any]) -> str:
    value = field.get("default")
    return "" if value is None else str(value)


def _range(field: dict[str, Any], cap: str | None) -> str:
    """Return the accepted range as an interval; the cap that holds for it by name."""
    found: dict[str, Any] = next((item for item in (field, *field.get("anyOf", ())) if _BOUNDS & item.keys()), {})
    low, high = found.get("minimum", found.get("exclusiveMinimum")), found.get("maximum", found.get("exclusiveMaximum"))
    words = []
    if low is not None and high is not None:
        words.append(f"{low:g} … {high:g}")
    elif low is not None:
        words.append(f"{'>' if 'exclusiveMinimum' in found else '≥'} {low:g}")
    elif high is not None:
        words.append(f"{'<' if 'exclusiveMaximum' in found else '≤'} {high:g}")
    return ", ".join([*words, *([f"cap {cap}"] if cap else [])])


_BOUNDS = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}
