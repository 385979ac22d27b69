"""Writes what says what the code says, the pages of docs/reference above all: `make docs`. A test compares them."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from pydantic import BaseModel

from physlab.caps import CAPS
from physlab.cli.app import app
from physlab.collab.roles import MATRIX, ROLES
from physlab.engine.slurm.worker import SlurmWorker
from physlab.settings.model import Settings
from physlab.settings.sources import PREFIX, named_sections
from physlab.tools import Method, Tool, load_tools, registry
from physlab.tools.examples import command, example
from physlab.tools.types import array_to_json

HERE = Path(__file__).parent / "reference"
TEMPLATE = Path(__file__).parents[1] / "deployments" / "slurm_pool.json"
SHARING = Path(__file__).parent / "howto" / "sharing.md"
COMMON = ("allow_large", "emit_plots", "emit_csv", "emit_animation")


def main() -> None:
    """Write the pages; with `--check`, only say whether they are up to date."""
    makers = {"tools": tools, "configuration": configuration, "cli": commands}
    found = {HERE / f"{name}.md": make() for name, make in makers.items()}
    found |= {HERE / "tools" / f"{tool.name}.md": page(tool) for tool in load_tools().tools.values()}
    pages = {path: "\n".join(lines) + "\n" for path, lines in found.items()} | {TEMPLATE: pool_template()}
    pages |= {SHARING: sharing()}
    stale = [path for path, text in pages.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    stale += [path for path in (HERE / "tools").glob("*.md") if path not in pages]
    if "--check" in sys.argv:
        sys.exit(f"Out of date, run `make docs`: {', '.join(map(str, stale))}" if stale else 0)
    for path in stale:
        if path in pages:
            path.write_text(pages[path], encoding="utf-8")
        else:
            path.unlink()


def sharing() -> str:
    """Return the page on sharing with the table of roles as the code has it."""
    head, mark, rest = SHARING.read_text(encoding="utf-8").partition("<!-- roles: written by `make docs` -->\n")
    _, end, tail = rest.partition("<!-- /roles -->")
    rows = [f"| {' | '.join(('what', *ROLES))} |", f"|---{'|:-:' * len(ROLES)}|"]
    for action, roles in MATRIX.items():
        rows.append(f"| `{action}` | {' | '.join('✓' if role in roles else '' for role in ROLES)} |")
    return f"{head}{mark}\n" + "\n".join(rows) + f"\n\n{end}{tail}"


def pool_template() -> str:
    """Return the base job template of a pool of Slurm workers, for administrators who make one of their own."""
    template = SlurmWorker.get_default_base_job_template()
    return json.dumps(template, indent=2, ensure_ascii=False) + "\n"


def tools() -> Iterator[str]:
    """Yield the lines of the page that leads to the tools."""
    yield from (
        "# Tools",
        "",
        "Written by `make docs` from the code; `physlab tools list` and `physlab tools show NAME` print the same.",
        "",
        "Every method also takes `allow_large` (lift the safety caps of this node). A method that can draw takes",
        "`emit_plots`, `emit_csv` and `emit_animation`, which mean the same as `visual_outputs: {static, series,",
        'animation}` on the node. A quantity with a unit may be given as a number in that unit, as `"5 eV"`, or as',
        "`{value: 5, unit: eV}`. Any value may be a reference, `from:node.field`.",
        "",
        "The examples on the pages are commands for the folder `docs/reference/tools`, where `samples/` is; a node",
        "says the same as `tool`, `method` and `params`. Tools of your own: [Python](python.md#tools-of-your-own).",
        "",
        "| tool | what it does |",
        "|---|---|",
        *(f"| [{tool.name}](tools/{tool.name}.md) | {_cell(tool.summary)} |" for tool in load_tools().tools.values()),
    )


def page(tool: Tool) -> Iterator[str]:
    """Yield the lines of one tool's page."""
    yield from (f"# {tool.name}", "", tool.summary)
    others = sorted(
        name for name, (of, method) in registry.aliases.items() if of == tool.name and method in (None, *tool.methods)
    )
    if others:
        yield from ("", f"Other names: {', '.join(f'`{name}`' for name in others)}.")
    notes = Path(__file__).parent / "notes" / f"{tool.name}.md"
    if notes.exists():
        text = notes.read_text(encoding="utf-8").strip()
        yield from ("", text.replace("](../", "](../../"))  # links of notes start at docs/notes
    if len(tool.methods) > 1:
        yield from ("", "| method | what it does |", "|---|---|")
        for method in tool.methods.values():
            yield f"| [{method.name}](#{str(method.full_name).replace('.', '').lower()}) | {_cell(method.summary)} |"
    for method in tool.methods.values():
        yield from _method(tool, method)


def _method(tool: Tool, method: Method) -> Iterator[str]:
    if method.name:
        other = sorted(alias for alias, name in tool.method_aliases.items() if name == method.name)
        yield from ("", f"## {method.full_name}", "", method.summary)
        if other:
            yield from ("", f"Also called {', '.join(f'`{name}`' for name in other)}.")
    facts = [f"limit {method.time_limit_s:g} s" if method.time_limit_s else "limit: `resources.walltime_s`"]
    able = [what for what, can in method.can if can]
    facts += [f"can write: {', '.join(able)}"] if able else []
    facts += [f"`{name}` ≤ {CAPS[cap].value:g} {CAPS[cap].unit}" for name, cap in method.caps.items()]
    yield from ("", "; ".join(facts) + ".")
    shown = example(method)
    if shown is not None:
        yield from ("", "```bash", command(method.full_name, shown), "```")
    rows = list(_parameters(method.params))
    if rows:
        yield from ("", "| parameter | type | default | meaning |", "|---|---|---|---|", *rows)
    if method.returns:
        yield from ("", "| returns | kind | unit | meaning |", "|---|---|---|---|")
        for port in method.returns:
            yield f"| `{port.name}` | {port.kind} | {_cell(port.unit or '')} | {_cell(port.description)} |"


def _parameters(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # defaults that are arrays are shown from the field itself
        schema = model.model_json_schema()
    for name, field in model.model_fields.items():
        if name in COMMON:
            continue
        shown = field.alias or name
        shape = schema["properties"][shown]
        default = "required" if field.is_required() else _default(field.get_default(call_default_factory=True))
        kind = _kind(shape, schema.get("$defs", {}))
        yield f"| `{prefix}{shown}` | {_cell(kind)} | {_cell(default)} | {_cell(field.description or '')} |"


def _default(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json", exclude_defaults=True)
    elif isinstance(value, list | tuple):
        value = [item.model_dump() if isinstance(item, BaseModel) else item for item in value]
    else:
        value = array_to_json(value)
    return f"`{json.dumps(value, ensure_ascii=False, default=str)}`"


def _kind(shape: dict[str, Any], known: dict[str, Any]) -> str:
    if "$ref" in shape:
        return _kind(known[shape["$ref"].rsplit("/", 1)[-1]], known)
    if "enum" in shape:
        return ", ".join(f"`{item}`" for item in shape["enum"])
    if "const" in shape:
        return f"`{shape['const']}`"
    if "anyOf" in shape:
        kinds = [_kind(item, known) for item in shape["anyOf"] if item.get("type") != "null"]
        return " or ".join(dict.fromkeys(kinds))
    if shape.get("format") == "path":
        return "file"
    if shape.get("type") == "array" and shape.get("items"):
        return f"list of {_kind(shape['items'], known)}"
    low = shape.get("minimum", shape.get("exclusiveMinimum"))
    high = shape.get("maximum", shape.get("exclusiveMaximum"))
    span = [f"≥ {low:g}" if "minimum" in shape else f"> {low:g}"] if low is not None else []
    span += [f"≤ {high:g}" if "maximum" in shape else f"< {high:g}"] if high is not None else []
    unit = f" [{shape['unit']}]" if "unit" in shape else ""
    return " ".join((str(shape.get("type", "any")) + unit, *span))


def configuration() -> Iterator[str]:
    """Yield the lines of the page of settings."""
    yield from (
        "# Configuration",
        "",
        "Written by `make docs` from the code; `physlab config show` prints every setting, its value and",
        "where it came from.",
        "",
        "Sources, each one stronger than the one before: built-in values; `~/.config/physlab/physlab.toml`",
        "(`$XDG_CONFIG_HOME`); the nearest `physlab.toml` in the working directory or above it; environment variables;",
        "options of the command. A `server.config.json` beside either file, and the variables `ACCEL_MODE`,",
        "`ACCEL_DEVICE`, `LM_BASE_URL`, `LM_API_KEY` and `DEFAULT_MODEL`, are read in the words of older lab servers.",
        "An unknown key is an error that names its line.",
        "",
        "A variable is the key in capitals after `PHYSLAB_`, with two underscores for a dot: `run.parallelism` is",
        "`PHYSLAB_RUN__PARALLELISM`, `home` is `PHYSLAB_HOME`. Relative paths start at the file that says them.",
        "",
        "| key | variable | type | default | meaning |",
        "|---|---|---|---|---|",
        *_settings(Settings, ""),
        "",
        "## Caps",
        "",
        "`[caps]` moves a safety cap for the whole lab; `allow_large: true` on a node lifts all of them for that node.",
        "",
        "| cap | value | unit | protects |",
        "|---|---|---|---|",
        *(f"| `caps.{name}` | {cap.value:g} | {cap.unit} | {cap.protects} |" for name, cap in CAPS.items()),
        "",
        "## Example",
        "",
        "```toml",
        "# physlab.toml",
        'results = "results"',
        "",
        "[run]",
        "parallelism = 4",
        "",
        "[sites.local]",
        "memory_gb = 16",
        "",
        "[sites.slurm.hpc]",
        'host = "login.hpc.example.org"',
        'folder = "/scratch/me/physlab"',
        'partition = "standard"',
        "",
        "[caps]",
        "surface = 200",
        "",
        "[report]",
        'lab = "Institute of Theoretical Physics"',
        'authors = ["A. Physicist", "B. Physicist"]',
        "```",
    )


def _settings(model: type[BaseModel], prefix: str) -> Iterator[str]:
    schema = model.model_json_schema()
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _settings(field.annotation, f"{prefix}{name}.")
        elif (inner := named_sections(field.annotation)) is not None:
            yield from _settings(inner, f"{prefix}{name}.NAME.")
        elif name != "caps":
            kind = _kind(schema["properties"][name], schema.get("$defs", {}))
            default = "`$XDG_DATA_HOME/physlab`" if field.is_required() else _default(field.default)
            variable = PREFIX + f"{prefix}{name}".upper().replace(".", "__")
            meaning = _cell(field.description or "")
            yield f"| `{prefix}{name}` | `{variable}` | {_cell(kind)} | {_cell(default)} | {meaning} |"


def commands() -> Iterator[str]:
    """Yield the lines of the page of commands."""
    yield from (
        "# Commands",
        "",
        "Written by `make docs` from the code; every command explains itself with `--help`.",
        "",
        "People's output goes to the terminal; with `--json` a command prints exactly one JSON object on standard",
        "output and nothing else there. Exit codes: 0 all is well, 1 something failed, 2 the command line was wrong,",
        "130 stopped by Ctrl-C.",
        "",
        "Before a command: `--verbose` (`-v`) tells more, `--quiet` (`-q`) less, `--version` prints the version.",
    )
    yield from _command("physlab", typer.main.get_command(app))


def _command(name: str, command: Any) -> Iterator[str]:
    for inner, found in getattr(command, "commands", {}).items():
        yield from _command(f"{name} {inner}", found)
    if hasattr(command, "commands"):
        return
    shown = [item for item in command.params if not item.hidden]
    arguments = [_spelled(item) for item in shown if item.param_type_name == "argument"]
    usage = " ".join((name, *arguments))
    yield from ("", f"## {usage}", "", " ".join(command.help.split()))
    rows = [f"| `{_cell(_spelled(item))}` | {_cell(item.help or '')} |" for item in shown]
    if rows:
        yield from ("", "| | |", "|---|---|", *rows)


def _spelled(item: Any) -> str:
    if item.param_type_name == "argument":
        return item.metavar or (item.name.upper() if item.required else f"[{item.name.upper()}]")
    return ", ".join((*item.opts, *item.secondary_opts))


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


if __name__ == "__main__":
    main()
