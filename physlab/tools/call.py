"""Calling one method: parameters checked, function run, the reply held against what the method promised."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args

import pydantic

from physlab.errors import ComputationError, PhyslabError, ValidationError, nearest
from physlab.tools.context import Context
from physlab.tools.registry import Method

ROLE_OF = {"static": ("static",), "series": ("series", "data"), "animation": ("animation",)}


def check_params(method: Method, params: Mapping[str, Any]) -> Any:
    """Return the validated parameters.

    Raises:
        ValidationError: With every finding in `details["problems"]`, each `{loc, message, hint, code}`.
        PhyslabError: Of the findings' own kind (PhysicsError, UnitsError) when all of them are of one.
    """
    try:
        return method.params.model_validate(params)
    except pydantic.ValidationError as error:
        found = list(explain(method, error))
        causes: set[Any] = {type((item.get("ctx") or {}).get("error")) for item in error.errors()}
        own = causes.pop() if len(causes) == 1 else ValidationError
        raise (own if issubclass(own, PhyslabError) else ValidationError)(
            f"{method.full_name}: " + " ".join(f"{item['message']}" for item in found),
            hint=" ".join(item["hint"] for item in found if item["hint"]),
            details={"problems": found},
        ) from error


def explain(method: Method, error: pydantic.ValidationError) -> Iterator[dict[str, Any]]:
    """Yield the findings of pydantic in the house's words."""
    for item in error.errors():
        loc = [part for part in item["loc"] if not (isinstance(part, str) and ("[" in part or "-" in part))]
        name = ".".join(map(str, loc)) or "parameters"
        cause = (item.get("ctx") or {}).get("error")
        code = cause.code if isinstance(cause, PhyslabError) else "VALIDATION_ERROR"
        shown = repr(item["input"])
        shown = shown if len(shown) <= 80 else shown[:77] + "…"
        if item["type"] == "extra_forbidden":
            text, hint = f"unknown parameter '{name}'.", nearest(str(loc[-1]), _known(method.params, item["loc"][:-1]))
        elif item["type"] == "missing":
            text, hint = f"the parameter '{name}' is missing.", f"See: physlab tools show {method.full_name}."
        elif isinstance(cause, PhyslabError):
            said, hint = cause.message, cause.hint
            said = said[:1].lower() + said[1:] if said[1:2].islower() else said
            named = not loc or said.startswith(f"{name} = ")  # the rule says itself what it is about
            text = said if named else f"{name} = {shown}: {said}"
        elif item["type"] == "literal_error" and isinstance(item["input"], str):
            choices = re.findall(r"'([^']+)'", item["ctx"]["expected"])
            text, hint = f"{name} = {shown} is none of the choices.", nearest(item["input"], choices)
        else:
            reason = item["msg"].removeprefix("Value error, ")
            text = f"{name} = {shown}: {reason[:1].lower() + reason[1:].rstrip('.')}."
            hint = f"See: physlab tools show {method.full_name}."
        yield {"loc": list(item["loc"]), "message": text, "hint": hint, "code": code}


def _known(model: type[pydantic.BaseModel], loc: Sequence[Any]) -> list[str]:
    """Return the parameters of a method, or of what stands at a place inside one of them."""
    for part in loc:
        info = model.model_fields.get(str(part))
        kinds = (info.annotation, *get_args(info.annotation)) if info is not None else ()
        inner = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, pydantic.BaseModel)]
        if inner:
            model = inner[0]
    return [info.alias or name for name, info in model.model_fields.items()]


def call_method(method: Method, params: Mapping[str, Any], context: Context) -> dict[str, Any]:
    """Run one method and return its fields (arrays and files not yet stored).

    Raises:
        ValidationError: Wrong parameters.
        ComputationError: The function broke, or its reply lacks what the method or the node promised.
        PhyslabError: Whatever the method says itself.
    """
    checked = check_params(method, params)
    context.allow_large = bool(checked.allow_large)
    try:
        fields = method.function(checked, context)
    except PhyslabError:
        raise
    except MemoryError as error:
        from physlab.errors import ResourceError

        raise ResourceError(
            f"{method.full_name} ran out of memory.",
            hint="Use a smaller grid, or raise resources.memory_gb.",
            details={"ended": "out_of_memory"},
        ) from error
    except Exception as error:  # the boundary to tool code: nothing passes untranslated
        raise ComputationError(
            f"{method.full_name} failed: {type(error).__name__}: {error}.",
            hint="Check the parameters; if they are right this is a fault of the tool, please report it.",
            details={"exception": type(error).__name__},
        ) from error
    if context.share is not None:
        return _part(method, context)
    _check_reply(method, fields, context)
    return fields


def _part(method: Method, context: Context) -> dict[str, Any]:
    """Return what a part handed in; files for people and warnings are left to the call that joins the parts."""
    if context.handed_in is None:
        raise ComputationError(
            f"{method.full_name} was to make a part and handed in none.", hint="Please report this fault of the tool."
        )
    context.written.clear()
    context.warnings.clear()
    return context.handed_in


def _check_reply(method: Method, fields: dict[str, Any], context: Context) -> None:
    names = {port.name for port in method.returns}
    unknown = [] if method.open_returns else sorted(set(fields) - names)
    if unknown:
        raise ComputationError(
            f"{method.full_name} returned {', '.join(unknown)}, which it does not declare.",
            hint="Add a Port to the method.",
        )
    for what, roles in ROLE_OF.items():
        if context.wants(what) and not any(item.role in roles for item in context.written):  # type: ignore[arg-type]
            raise ComputationError(
                f"{method.full_name} was to write a {what} output and wrote none.",
                hint=f"Set visual_outputs.{what}: false on the node, or use a method that can write it.",
                details={"visual_output": what},
            )
