"""The fields of every kind and their types, as the Kubernetes client that is installed has them from the API itself.

Its models are read, not imported: that takes milliseconds, importing all of them a second.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from physlab.testing.kubernetes.kinds import KINDS, Kind
from physlab.testing.kubernetes.objects import Obj
from physlab.testing.kubernetes.refusals import Refusal, bad_request

_QUANTITIES = {"limits", "requests", "capacity", "hard", "used", "allocatable", "overhead"}
_GO = {"int": "int32", "str": "string", "bool": "bool", "float": "float64", "datetime": "Time"}
_PYTHON: dict[str, tuple[type, ...]] = {"int": (int,), "str": (str,), "bool": (bool,), "float": (int, float)}


@dataclass(frozen=True)
class Model:
    """The fields of a type: the type of each, by its name in JSON."""

    name: str
    fields: dict[str, str]


@cache
def model(name: str) -> Model | None:
    """Return a type of the API (`V1JobSpec`); None for one without fields of its own."""
    spec = find_spec("kubernetes_asyncio")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("kubernetes_asyncio is missing; install physlab[kubernetes]")
    file = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower() + ".py"
    path = Path(spec.origin).parent / "client" / "models" / file
    if not path.is_file():
        return None
    text = path.read_text(encoding="utf-8")
    types, names = (_table(text, table) for table in ("openapi_types", "attribute_map"))
    return Model(name, {names[attribute]: kind for attribute, kind in types.items()})


def _table(text: str, name: str) -> dict[str, str]:
    found = re.search(rf"^    {name} = (\{{.*?^    \}})", text, re.MULTILINE | re.DOTALL)
    table: dict[str, str] = ast.literal_eval(found[1]) if found else {}
    return table


def of(kind: Kind) -> Model | None:
    """Return the fields of a kind."""
    return model({"events": "CoreV1Event"}.get(kind.plural, f"V1{kind.kind}"))


def accept(kind: Kind, body: Obj, validation: str) -> tuple[Obj, list[str]]:
    """Return an object without the fields that its kind does not have, and a warning for each.

    Args:
        kind: Its kind.
        body: The object as it came.
        validation: `Strict` refuses unknown fields, `Warn` drops and names them, `Ignore` drops them.

    Raises:
        Refusal: A value has the wrong type, or a field is unknown and validation strict.
    """
    prefix = f'{kind.kind} in version "v1" cannot be handled as a {kind.kind}: '
    unknown: list[str] = []
    try:
        clean = _value(f"V1{kind.kind}", of(kind), body, (), unknown)
    except Refusal as refusal:
        raise bad_request(prefix + refusal.message) from None
    said = [f'unknown field "{path}"' for path in unknown]
    if said and validation == "Strict":
        raise bad_request(f"{prefix}strict decoding error: {', '.join(said)}")
    return clean, said if validation != "Ignore" else []


def _value(owner: str, of_type: Model | str | None, value: Any, path: tuple[str, ...], unknown: list[str]) -> Any:
    if of_type is None or of_type == "object" or value is None:
        return value
    if isinstance(of_type, Model):
        return _object(of_type, value, owner, path, unknown)
    if match := re.fullmatch(r"list\[(.*)\]", of_type):
        if not isinstance(value, list):
            raise _mismatch(value, owner, path, f"[]{_go(match[1])}")
        inner = _resolve(match[1])
        return [_value(owner, inner, item, (*path[:-1], f"{path[-1]}[{i}]"), unknown) for i, item in enumerate(value)]
    if match := re.fullmatch(r"dict\(str, (.*)\)", of_type):
        return _mapping(match[1], value, owner, path, unknown)
    kinds = _PYTHON.get(of_type)
    if of_type == "datetime":
        kinds = (str,)
    if kinds is None:
        inner = _resolve(of_type)
        return value if inner is None else _value(owner, inner, value, path, unknown)
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        raise _mismatch(value, owner, path, _go(of_type))
    return value


def _resolve(name: str) -> Model | str | None:
    if name in _PYTHON or name in ("object", "datetime") or name.startswith(("list[", "dict(")):
        return name
    return model(name)


def _object(of_type: Model, value: Any, owner: str, path: tuple[str, ...], unknown: list[str]) -> Any:
    if not isinstance(value, dict):
        raise _mismatch(value, owner, path, of_type.name.removeprefix("V1"))
    if not of_type.fields:
        return value
    clean = {}
    for key, item in value.items():
        if key not in of_type.fields:
            unknown.append(".".join((*path, key)))
        else:
            clean[key] = _value(of_type.name, _resolve(of_type.fields[key]), item, (*path, key), unknown)
    return clean


def _mapping(inner: str, value: Any, owner: str, path: tuple[str, ...], unknown: list[str]) -> Any:
    if not isinstance(value, dict):
        raise _mismatch(value, owner, path, f"map[string]{_go(inner)}")
    if path[-1] in _QUANTITIES:
        return {key: item if isinstance(item, str) else f"{item:g}" for key, item in value.items()}
    return {key: _value(owner, _resolve(inner), item, (*path, ""), unknown) for key, item in value.items()}


def _go(name: str) -> str:
    return _GO.get(name, f"v1.{name.removeprefix('V1')}")


def _mismatch(value: Any, owner: str, path: tuple[str, ...], wanted: str) -> Refusal:
    names = {bool: "bool", int: "number", float: "number", str: "string", list: "array", dict: "object"}
    field = re.sub(r"\[\d+\]", "", ".".join(filter(None, path)))
    struct = owner.removeprefix("V1")
    return bad_request(
        f"json: cannot unmarshal {names[type(value)]} into Go struct field {struct}.{field} of type {wanted}"
    )


def openapi(group: str) -> Obj:
    """Return the description of a group that kubectl looks at: its patches, and whether they can be strict."""
    paths: Obj = {}
    for kind in KINDS:
        if kind.group != group:
            continue
        place = "namespaces/{namespace}/" if kind.namespaced else ""
        gvk = {"group": kind.group, "kind": kind.kind, "version": "v1"}
        parameters = [{"name": name, "in": "query", "schema": {"type": "string"}} for name in
                      ("dryRun", "fieldManager", "fieldValidation")]  # fmt: skip
        paths[f"{kind.root}/{place}{kind.plural}/{{name}}"] = {
            "patch": {"x-kubernetes-group-version-kind": gvk, "parameters": parameters, "responses": {}}
        }
    info = {"title": "Kubernetes", "version": "v1.36.2"}
    return {"openapi": "3.0.0", "info": info, "paths": paths, "components": {"schemas": {}}}
