"""Reading a specification from JSON or YAML 1.2 text."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from physlab.errors import ValidationError

SUFFIXES = (".yaml", ".yml", ".json")


def read_spec(path: Path) -> Any:
    """Return the content of a JSON or YAML file.

    Raises:
        ValidationError: It cannot be read, or is not JSON or YAML; the message names the line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise ValidationError(f"There is no file '{path}'.", hint="Check the path.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ValidationError(f"'{path}' cannot be read: {error}.", hint="A DAG is a text file in UTF-8.") from error
    return parse_spec(text, str(path), json_only=path.suffix == ".json")


def parse_spec(text: str, name: str = "the text", *, json_only: bool = False) -> Any:
    """Return the value that JSON or YAML 1.2 text spells.

    Raises:
        ValidationError: It is neither; the message names the line.
    """
    if json_only or text.lstrip()[:1] in ("{", "["):
        try:
            return json.loads(text, parse_constant=_refuse, object_pairs_hook=_once)
        except ValueError as error:
            if json_only:
                where = f" line {error.lineno}, column {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
                text = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
                raise ValidationError(f"{name} is not JSON:{where} {text}.", hint="Mend that line.") from error
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        return _plain(YAML(typ="safe", pure=True).load(text), iter(range(100 * len(text) + 100)))
    except RecursionError as error:
        raise ValidationError(f"{name} holds a value that contains itself.", hint="Remove that alias.") from error
    except (YAMLError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" line {mark.line + 1}, column {mark.column + 1}:" if mark else ""
        problem = getattr(error, "problem", None) or str(error)
        raise ValidationError(
            f"{name} is not YAML:{where} {problem}.", hint="Mend that line; indent with spaces, quote odd texts."
        ) from error


def spell_yaml(value: Any) -> str:
    """Return a JSON value as YAML that reads back as the same value."""
    from io import StringIO

    from ruamel.yaml import YAML

    stream, yaml = StringIO(), YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.allow_unicode = True
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.width = 1000
    yaml.representer.ignore_aliases = lambda item: True
    yaml.dump(value, stream)
    return stream.getvalue()


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"'{next(name for name in names if names.count(name) > 1)}' stands twice in one object")
    return found


def _plain(value: Any, room: Iterator[int]) -> Any:
    """Turn what YAML knows beyond JSON (dates, keys that are numbers) into texts; `room` ends a bomb of aliases."""
    if next(room, None) is None:
        raise ValueError("its aliases stand for far more values than are written")
    if isinstance(value, dict):
        return {key if isinstance(key, str) else str(key): _plain(item, room) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item, room) for item in value]
    if value is None or isinstance(value, str | bool | int | float):
        return value
    return str(value)
