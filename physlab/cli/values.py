"""The values that a node gave, for people: scalars with their unit, arrays and files by their path."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from physlab.cli.output import voice
from physlab.model import is_stored_array, is_stored_file

if TYPE_CHECKING:
    from physlab.report.contents import Content

LONG = 160  # signs of a value before it is cut
MAIN = 6
FEW_NODES = 3
ASIDE = {"dimensionality", "input", "original", "source", "unit", "units"}
PLAIN_UNITS = (None, "", "1", "dimensionless")


def node_values(content: Content) -> dict[str, str]:
    """Return what a node gave, one line each, in the order in which its method declares it."""
    paths = paths_of(content)
    return {name: _line(content, name, value, paths) for name, value in _fields(content).items() if value is not None}


def main_values(contents: Sequence[Content]) -> dict[str, str]:
    """Return the few values that answer what a small run asked; empty for a run of many nodes.

    Parameters that are echoed, other spellings of a value and remarks about it are left out.
    """
    found: dict[str, str] = {}
    for content in contents if len(contents) <= FEW_NODES else ():
        prefix = f"{content.id}." if len(contents) > 1 else ""
        seen: list[Any] = []
        for name, value in _fields(content).items():
            if value not in seen and _is_main(content, name, value):
                seen.append(value)
                found[prefix + name] = _line(content, name, value, {})
    return dict(list(found.items())[:MAIN])


def show_values(values: Mapping[str, str]) -> None:
    """Print named values below each other."""
    from physlab.cli.output import escape

    width = max(9, *map(len, values)) if values else 0
    for name, value in values.items():
        voice.say(f"[dim]{escape(name):<{width}}[/dim] {escape(value)}")


def paths_of(content: Content) -> dict[str, str]:
    """Return the files of a node: digest to path in the results folder."""
    from physlab.report.contents import stored_digest

    found = {item.artifact.sha256: item.path for item in content.items}
    if content.record is not None:
        found |= {str(stored_digest(content.record.fields[name])): path for name, path in content.fields.items()}
    return found


def parameters(content: Content) -> dict[str, str]:
    """Return the parameters of a node that are set, references as they were written."""
    if content.record is None:
        return {}
    written = {name: _named(value) for name, value in content.record.written.items()}
    return {name: _short(value, {}) for name, value in written.items() if value not in (None, {}, [])}


def _named(value: Any) -> Any:
    if isinstance(value, dict):
        if len(value) == 1 and isinstance(value.get("$file"), str):
            return f"file sha256:{value['$file'][:16]}…"
        return {name: _named(item) for name, item in value.items()}
    return [_named(item) for item in value] if isinstance(value, list) else value


def _fields(content: Content) -> dict[str, Any]:
    fields = content.record.fields if content.record else {}
    declared: Iterable[str] = (port.name for port in content.method.returns) if content.method else ()
    order = [name for name in declared if name in fields]
    return {name: fields[name] for name in [*order, *(name for name in fields if name not in order)]}


def _is_main(content: Content, name: str, value: Any) -> bool:
    params = content.record.params if content.record else {}
    if name in ASIDE or name in params or name.startswith("latex") or isinstance(value, bool):
        return False
    if isinstance(value, dict):
        return _is_quantity(value)
    if isinstance(value, list):
        return 0 < len(value) <= MAIN and all(isinstance(item, str | int | float) for item in value)
    if isinstance(value, str):
        return 0 < len(value.strip()) <= LONG and "\n" not in value.strip() and value not in params.values()
    return value is not None


def _line(content: Content, name: str, value: Any, paths: Mapping[str, str]) -> str:
    text, unit = _short(value, paths), _unit(content, name, value)
    return text if unit in PLAIN_UNITS or is_stored_file(value) else f"{text} [{unit}]"


def _unit(content: Content, name: str, value: Any) -> str | None:
    """Return the unit that the method declares, or that the result itself names."""
    fields = content.record.fields if content.record else {}
    port = content.method.port(name) if content.method else None
    if port is not None and port.unit is not None:
        return port.unit
    units, unit = fields.get("units"), fields.get("unit")
    if isinstance(units, dict) and isinstance(units.get(name), str):
        return str(units[name])
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    belongs = is_number and (name == "uncertainty" or value == fields.get("value"))
    return unit if belongs and isinstance(unit, str) else None


def _is_quantity(value: Mapping[str, Any]) -> bool:
    return set(value) == {"value", "unit"} and isinstance(value["unit"], str)


def _short(value: Any, paths: Mapping[str, str]) -> str:
    if is_stored_array(value):
        stored = value["$array"]
        shape = " × ".join(map(str, stored["shape"]))
        return f"array ({shape}) → {_place(stored, paths)}"
    if is_stored_file(value):
        return _place(value["$file"], paths)
    if isinstance(value, str):
        first, _, rest = value.strip().partition("\n")
        return _cut(first + (" …" if rest else ""))
    if isinstance(value, dict) and _is_quantity(value) and not isinstance(value["value"], dict | list):
        return f"{json.dumps(value['value'])} [{value['unit']}]"
    text = json.dumps(_readable(value, paths), ensure_ascii=False)
    if len(text) <= LONG or not isinstance(value, list | dict):
        return _cut(text)
    if isinstance(value, dict):
        return _cut("{" + ", ".join(value) + "}")
    ends = f", {value[0]} … {value[-1]}" if all(isinstance(item, int | float) for item in value) else ""
    return f"list of {len(value)}{ends}"


def _readable(value: Any, paths: Mapping[str, str]) -> Any:
    if is_stored_array(value) or is_stored_file(value):
        return _short(value, paths)
    if isinstance(value, dict):
        return {name: _readable(item, paths) for name, item in value.items()}
    return [_readable(item, paths) for item in value] if isinstance(value, list) else value


def _place(stored: Mapping[str, Any], paths: Mapping[str, str]) -> str:
    return paths.get(stored["sha256"], f"sha256:{stored['sha256']}")


def _cut(text: str) -> str:
    return text if len(text) <= LONG else text[: LONG - 1] + "…"
