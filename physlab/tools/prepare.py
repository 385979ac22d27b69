"""From a node's raw parameters to what its key and its work are made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path
from typing import Annotated, Any

import orjson
import pydantic
from pydantic import PlainSerializer, create_model, model_validator

from physlab.errors import PhyslabError
from physlab.model import Node, Reference, Visuals
from physlab.model.stored import is_input, is_marker
from physlab.tools.call import explain
from physlab.tools.measures import conversion_factor
from physlab.tools.registry import Method
from physlab.tools.types import EMIT_FLAGS, File, Params, Unit

WALLTIME_S = 3600.0
_REFERENCE = "Write from:node, from:node.field or from:node.field.0, with letters, digits, '_' and '-' only."
_NOT_IN_KEY = ("allow_large", *EMIT_FLAGS)


class Later:
    """A parameter that holds references; `marked` is its structure with `{"$in": i}` in their places."""

    __slots__ = ("marked",)

    def __init__(self, marked: Any) -> None:
        self.marked = marked


@dataclass(frozen=True, slots=True)
class Input:
    """A value that enters a node from another one.

    Attributes:
        parameter: Dotted place in the parameters.
        reference: Where it comes from.
        factor: What a number is multiplied with to come from the source's unit to the parameter's.
    """

    parameter: str
    reference: Reference
    factor: float = 1.0


@dataclass(frozen=True, slots=True)
class Prepared:
    """A node's parameters, checked and normalised.

    Attributes:
        params: After defaults; `{"$in": i}` stands for the i-th input, `{"$path": p}` for a file.
        inputs: The values from other nodes.
        visuals: What it shall write, every flag set.
        allow_large: True when the caps are lifted.
    """

    params: dict[str, Any]
    inputs: tuple[Input, ...]
    visuals: Visuals
    allow_large: bool
    files: tuple[str, ...] = ()


@dataclass
class Findings:
    """What is wrong with one node's parameters."""

    items: list[tuple[str, str, str]] = field(default_factory=list)

    def add(self, code: str, message: str, hint: str = "") -> None:
        """Note one finding."""
        self.items.append((code, message, hint))


Shapes = dict[tuple[Any, ...], Prepared]


def prepare(
    node: Node, method: Method, base_dir: Path, findings: Findings, shapes: Shapes | None = None
) -> Prepared | None:
    """Check and normalise a node's parameters without knowing the values of its inputs.

    Args:
        node: The node.
        method: What it calls.
        base_dir: Folder that relative paths start from.
        findings: Takes every problem.
        shapes: What was prepared for the same method with the same parameters, apart from where inputs come from: in a
            large graph most nodes ask the same of other inputs, and they then share one checked set.

    Returns:
        None when there are problems.
    """
    inputs: list[Input] = []
    try:
        raw = method.expand(dict(node.params), base_dir) if method.expand else node.params
        marked, open_names = _mark_all(raw, inputs, findings)
        if not findings.items:
            inputs = _number(marked, inputs)
        shape = _shape(node, method, marked) if shapes is not None and not findings.items else None
        known = shapes.get(shape) if shapes is not None and shape is not None else None
        if known is not None:
            return Prepared(known.params, tuple(inputs), known.visuals, known.allow_large)
        model = _lenient(method.params) if open_names else method.params
        checked = model.model_validate({**raw, **{name: Later(marked[name]) for name in open_names}})
    except pydantic.ValidationError as error:
        for item in explain(method, error):
            findings.add(item["code"], item["message"], item["hint"])
        return None
    except PhyslabError as error:
        findings.add(error.code, error.message, error.hint)
        return None
    params = checked.model_dump(mode="json")
    for name in _NOT_IN_KEY:
        params.pop(name, None)
    fields = _file_fields(method.params)
    files = _mark_files(checked, params, fields, base_dir, findings) if fields else ()
    visuals = _visuals(node.visual_outputs, checked, method, findings)
    prepared = Prepared(params, tuple(inputs), visuals, checked.allow_large, files)
    if shapes is not None and shape is not None and not findings.items:
        shapes[shape] = prepared
    return prepared


def _shape(node: Node, method: Method, marked: dict[str, Any]) -> tuple[Any, ...] | None:
    """Return what makes two nodes ask for the same, None when files take part or it cannot be told."""
    if _file_fields(method.params):
        return None
    try:
        return method, node.visual_outputs, orjson.dumps(marked)
    except TypeError:
        return None


def _mark_all(raw: Mapping[str, Any], inputs: list[Input], findings: Findings) -> tuple[dict[str, Any], list[str]]:
    """Return the parameters with their references marked, and the names of those whose value is not known yet."""
    marked: dict[str, Any] = {}
    open_names = []
    for name, value in raw.items():
        before = len(inputs) + len(findings.items)
        marked[name] = _mark(value, name, inputs, findings)
        if len(inputs) + len(findings.items) > before:
            open_names.append(name)
    return marked, open_names


def _number(marked: dict[str, Any], inputs: list[Input]) -> list[Input]:
    """Number the inputs in the order of their places as canonical JSON sorts them, not in that of the file.

    So the order of keys in a file is no part of what a node asks for, and a record, which is canonical JSON itself, has
    its inputs by number.
    """
    order = sorted(range(len(inputs)), key=lambda number: inputs[number].parameter.encode("utf-16-be"))
    if order != list(range(len(inputs))):
        _renumber(marked, {before: now for now, before in enumerate(order)})
    return [inputs[number] for number in order]


def _renumber(value: Any, numbers: Mapping[int, int]) -> None:
    if is_input(value):
        value["$in"] = numbers[value["$in"]]
        return
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _renumber(item, numbers)


def time_limit_s(method: Method, prepared: Prepared, walltime_s: float | None) -> float:
    """Return how long a node may run [s]: the tool's own limit unless lifted, and never more than asked."""
    if method.time_limit_s is None or prepared.allow_large:
        return walltime_s or WALLTIME_S
    return min(method.time_limit_s, walltime_s or method.time_limit_s)


def _mark(value: Any, place: str, inputs: list[Input], findings: Findings) -> Any:
    """Return a parameter with `{"$in": i}` in the place of its references."""
    if type(value) is str:
        if not value.startswith("from:"):
            return value
        reference = Reference.parse(value)
        if reference is None:
            findings.add("VALIDATION_ERROR", f"{place} = '{value}' is not a reference.", _REFERENCE)
            return value
        inputs.append(Input(place, reference))
        return {"$in": len(inputs) - 1}
    if isinstance(value, Mapping):
        if is_marker(value):
            findings.add("VALIDATION_ERROR", f"{place} has the key '{next(iter(value))}', which is taken.")
        return {key: _mark(item, f"{place}.{key}", inputs, findings) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_mark(item, f"{place}.{index}", inputs, findings) for index, item in enumerate(value)]
    return value


def _before(check: Callable[[Any], Any]) -> Any:
    """Return a check of a model, bound to it, as a check that another model can carry."""

    def run(data: Any) -> Any:
        return check(data)

    return model_validator(mode="before")(run)


@cache
def _lenient(model: type[Params]) -> type[Params]:
    """Return the model with every field open for `Later`, without the checks that compare fields."""
    later: Any = Annotated[Later, PlainSerializer(lambda value: value.marked)]
    fields: Any = {}
    for name, info in model.model_fields.items():
        if name not in Params.model_fields:
            default: Any = {} if info.is_required() else {"default": info.default}
            if info.default_factory is not None:
                default = {"default_factory": info.default_factory}
            names = pydantic.Field(alias=info.alias, validation_alias=info.validation_alias, **default)
            fields[name] = (later | info.rebuild_annotation(), names)
    before: Any = {
        name: _before(getattr(model, name))
        for name, decorator in model.__pydantic_decorators__.model_validators.items()
        if decorator.info.mode == "before"
    }
    return create_model(f"{model.__name__}Later", __base__=Params, __validators__=before, **fields)


@cache
def _file_fields(model: type[Params]) -> tuple[str, ...]:
    schema = model.model_json_schema()

    def mentions(part: Any) -> bool:
        if isinstance(part, dict):
            return part.get("format") == "path" or any(map(mentions, part.values()))
        return isinstance(part, list) and any(map(mentions, part))

    names = {info.alias or name: name for name, info in model.model_fields.items()}
    return tuple(names.get(name, name) for name, part in schema["properties"].items() if mentions(part))


def _mark_files(
    checked: Any, params: dict[str, Any], fields: tuple[str, ...], base_dir: Path, findings: Findings
) -> tuple[str, ...]:
    files: list[str] = []

    def mark(value: Any) -> Any:
        if isinstance(value, Later):
            return mark(_local_files(value.marked))
        if isinstance(value, File):
            path = base_dir / value.path
            if not path.is_file():
                problem = "is a folder, not a file" if path.is_dir() else "does not exist"
                findings.add("VALIDATION_ERROR", f"the file '{path}' {problem}.", "Check the path.")
            files.append(str(path))
            return {"$path": str(path)}
        if isinstance(value, Mapping):
            return {key: mark(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [mark(item) for item in value]
        return value

    for name in fields:
        params[name] = mark(getattr(checked, name))
    return tuple(files)


def _local_files(marked: Any) -> Any:
    """Return a file parameter that holds references with the paths beside them read as files."""
    if isinstance(marked, str):
        return marked if marked.startswith("data:") else File(path=Path(marked), name=Path(marked).name)
    if isinstance(marked, Mapping):
        return {key: _local_files(item) for key, item in marked.items()}
    return [_local_files(item) for item in marked] if isinstance(marked, list) else marked


def _visuals(declared: Visuals | None, checked: Any, method: Method, findings: Findings) -> Visuals:
    if not method.numeric and declared is None:
        return method.visuals
    wanted: dict[str, bool] = {}
    for flag, what in EMIT_FLAGS.items():
        value = getattr(declared, what) if declared is not None else None
        if value is None:
            value = getattr(checked, flag, None)
        wanted[what] = bool(getattr(method.visuals, what)) if value is None else value
        if wanted[what] and not getattr(method.can, what) and not method.open_returns:
            able = [name for name in EMIT_FLAGS.values() if getattr(method.can, name)]
            findings.add(
                "VALIDATION_ERROR",
                f"{method.full_name} has no {what} output.",
                f"It can write: {', '.join(able) or 'none'}.",
            )
    return Visuals(**wanted)


@lru_cache(maxsize=4096)
def unit_factor(source: Method, path: tuple[str, ...], target: Method, parameter: str) -> float:
    """Return the factor between a returned field's unit and a parameter's.

    Raises:
        UnitsError: The dimensions differ.
    """
    port = source.port(path[0]) if len(path) == 1 else None
    info = target.params.model_fields.get(parameter)
    unit = next((item.unit for item in info.metadata if isinstance(item, Unit)), None) if info else None
    if port is None or port.unit is None or unit is None:
        return 1.0
    return conversion_factor(port.unit, unit)
