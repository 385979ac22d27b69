"""`@tool`: a typed function becomes a method of a tool, with its checks, schema, caching and page."""

from __future__ import annotations

import functools
import inspect
import re
import typing
from collections.abc import Callable
from typing import Any

import numpy as np
import pydantic
from pydantic import Field
from pydantic.fields import FieldInfo

from physlab.errors import ConfigurationError
from physlab.tools.context import Context
from physlab.tools.handover import hand_over
from physlab.tools.registry import Port, PortKind, registry
from physlab.tools.types import Array, File, InputFile, Params, quantity

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*(\.[A-Za-z][A-Za-z0-9_]*)?")
_UNIT = re.compile(r"\s*\[(?P<unit>[^\[\]]*)\](?=[.,;:]?(\s|$))")
_OFFERED = ("context", "rng", "seed", "workdir")
_KINDS: dict[Any, PortKind] = {
    float: "number", int: "number", str: "text", bool: "boolean", list: "list", np.ndarray: "array",
}  # fmt: skip


def tool(name: str, **settings: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Make a function a method of a tool (a decorator); the function itself stays as it is.

    Parameters come from the signature: `float`, `int`, `str`, `bool`, lists, mappings, NumPy arrays (`np.ndarray`),
    files (`pathlib.Path`), anything else that pydantic knows, with defaults. The docstring (Google style) describes
    them, and gives a unit to a number by brackets: `length: Length of the string [m].` A call may then say `"35 cm"`,
    and the function gets 0.35. The section `Returns:` names the fields, again with units. A parameter called
    `context`, `rng`, `seed` or `workdir` is filled in by the lab.

    What it returns: a mapping (each item a field), or one value under the name that `Returns:` gives it. Arrays stay
    arrays, Matplotlib figures are kept as PNG and SVG, a `pathlib.Path` is a file that it wrote into its folder.

    Args:
        name: `tool.method`, or `tool` for a tool of one purpose.
        **settings: Attributes of `physlab.tools.Method`: `time_limit_s`, `libraries`, `kind`, ….

    Raises:
        ConfigurationError: The name or the signature cannot be used, or the function is not in a file of its own.
    """
    if not _NAME.fullmatch(name):
        raise ConfigurationError(f"'{name}' is not the name of a tool.", hint="Write @tool('optics.lens').")

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        if function.__module__ == "__main__" or "<locals>" in function.__qualname__:
            raise ConfigurationError(
                f"The tool {name} is a function of the main program or of another function; workers cannot find it.",
                hint="Put it at the top of a file of its own, and name it in physlab.toml: tools = ['optics.py'].",
            )
        family, _, method = name.partition(".")
        said = _Documentation(function)
        module = inspect.getmodule(function)
        title = next(iter((getattr(module, "__doc__", None) or said.summary).strip().splitlines()), family)
        registry.tool(family, summary=title)
        settings.setdefault("kind", "user")
        registry.method(
            family, method or None, params=_params(function, said), returns=said.ports(function), open_returns=True,
            **settings,
        )(_as_method(function, name, said.lone))  # fmt: skip
        return function

    return register


class _Documentation:
    """What a Google-style docstring says."""

    def __init__(self, function: Callable[..., Any]) -> None:
        import griffe

        text = griffe.Docstring(inspect.getdoc(function) or "")
        sections = text.parse("google", returns_multiple_items=True, returns_named_value=True, warnings=False)
        found = {section.kind.value: section.value for section in sections}
        self.summary = str(found.get("text", ""))
        self.arguments = {item.name: " ".join(item.description.split()) for item in found.get("parameters", ())}
        self.returned = {
            item.name: " ".join(item.description.split()) for item in found.get("returns", ()) if item.name
        }

    @property
    def lone(self) -> str:
        """Name of the field that a value becomes which is no mapping."""
        return next(iter(self.returned)) if len(self.returned) == 1 else "result"

    def ports(self, function: Callable[..., Any]) -> tuple[Port, ...]:
        """Return the fields that the docstring promises; their kind is the annotation's."""
        annotation = typing.get_type_hints(function).get("return")
        if typing.get_origin(annotation) is dict:  # dict[str, float]: each field is a number
            annotation = typing.get_args(annotation)[1]
        kind = _KINDS.get(typing.get_origin(annotation) or annotation, "any")
        return tuple(Port(name, kind, *_unit_of(text)) for name, text in self.returned.items())


def _unit_of(text: str) -> tuple[str | None, str]:
    match = _UNIT.search(text)
    return (match["unit"], _UNIT.sub("", text, count=1)) if match else (None, text)


def _params(function: Callable[..., Any], said: _Documentation) -> type[Params]:
    hints = typing.get_type_hints(function, include_extras=True)
    fields: dict[str, Any] = {}
    for name, parameter in inspect.signature(function).parameters.items():
        if name in _OFFERED:
            continue
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY) or name not in hints:
            raise ConfigurationError(
                f"The parameter '{name}' of {function.__name__} has no type, or cannot be given by name.",
                hint=f"Write it as `{name}: float`.",
            )
        fields[name] = _field(hints[name], parameter.default, said.arguments.get(name, ""), function)
    try:
        model = pydantic.create_model(
            f"{function.__name__}_parameters", __base__=Params, __module__=function.__module__, **fields
        )
    except (pydantic.PydanticUserError, NameError, TypeError) as error:
        raise ConfigurationError(
            f"The parameters of {function.__name__} cannot be used: {error}.", hint="Use types that pydantic knows."
        ) from error
    model.__qualname__ = function.__qualname__  # its source is the function's
    return model


def _field(kind: Any, default: Any, text: str, function: Callable[..., Any]) -> tuple[Any, FieldInfo]:
    unit, text = _unit_of(text)
    if unit not in (None, "", "1") and kind in (float, float | None):
        kind = quantity(str(unit)) if kind is float else quantity(str(unit)) | None
    elif kind is np.ndarray or typing.get_origin(kind) is np.ndarray:
        kind, text = Array, f"{text} [{unit}]" if unit else text
    elif getattr(kind, "__name__", "") == "Path":
        kind = InputFile
    if default is inspect.Parameter.empty:
        return kind, Field(description=text)
    return kind, Field(default, description=text)


def _as_method(function: Callable[..., Any], name: str, lone: str) -> Callable[[Any, Context], dict[str, Any]]:
    takes = inspect.signature(function).parameters

    @functools.wraps(function)
    def call(params: Any, context: Context) -> dict[str, Any]:
        given = {key: getattr(params, key) for key in type(params).model_fields if key in takes}
        given = {key: value.path if isinstance(value, File) else value for key, value in given.items()}
        for key in takes.keys() & set(_OFFERED):
            given[key] = context if key == "context" else getattr(context, key)
        return hand_over(function(**given), context, None, name, lone=lone)

    return call
