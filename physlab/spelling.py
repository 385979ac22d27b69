"""Every accepted spelling of a tool call or a DAG, to the one model. Pure: the vocabulary is passed in."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pydantic

from physlab.errors import ValidationError, nearest
from physlab.model import Call, Dag, Node
from physlab.model.reference import PREVIOUS

LAB_METHODS: dict[str, tuple[str, ...]] = {
    "experiment_orchestrator": ("define_dag", "validate_dag", "run_dag", "publish_report", "collaborate_share"),
    "distributed_collaboration": (
        "job_submit", "session_share", "lab_notebook", "notebook_add", "notebook_export", "artifact_versioning",
    ),
}  # fmt: skip
_FAMILY_OF = {method: family for family, methods in LAB_METHODS.items() for method in methods}
_PREFIXES = {"orchestrator_": "experiment_orchestrator", "distributed_": "distributed_collaboration"}
_METADATA = ("title", "description", "author", "version")
_NODE_FIELDS = frozenset(Node.model_fields)
_LATER = {"condition": "conditional nodes", "parameter_sweep": "parameter sweeps", "sweep": "parameter sweeps"}


@dataclass(frozen=True)
class Vocabulary:
    """The names of the tools: which parameter names the method of each, and other names of tools and methods."""

    discriminators: Mapping[str, str | None] = field(default_factory=dict)
    aliases: Mapping[str, tuple[str, str | None]] = field(default_factory=dict)
    method_aliases: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def resolve(self, tool: str, method: str | None, params: dict[str, Any]) -> Call:
        """Return the call with real names; the method may stand beside the parameters or among them."""
        if tool in self.aliases:
            tool, implied = self.aliases[tool]
            method = implied or method
        discriminator = self.discriminators.get(tool)
        for name in (discriminator, "method", "action"):
            if method is None and name is not None and isinstance(params.get(name), str) and self._has_methods(tool):
                params = dict(params)
                method = params.pop(name)
        if method is not None and not isinstance(method, str):
            raise ValidationError(f"method = {method!r} is not a text.", hint="Give the name of a method of the tool.")
        if method is not None and discriminator and params.get(discriminator) == method:
            params = {name: value for name, value in params.items() if name != discriminator}
        if method is not None:
            method = self.method_aliases.get(tool, {}).get(method, method)
        return Call(tool=tool, method=method, params=params)

    def _has_methods(self, tool: str) -> bool:
        return self.discriminators.get(tool, "method") is not None


def read_call(payload: Any, vocabulary: Vocabulary) -> Call:
    """Return the tool call that a payload spells (forms A to E of the contract).

    Raises:
        ValidationError: It is not an object, names no tool, or a lab method is missing or unknown.
    """
    try:
        return _call(payload, vocabulary)
    except RecursionError as error:
        raise _too_deep() from error


def _too_deep() -> ValidationError:
    return ValidationError("The payload nests too deeply to be read.", hint="Nest at most 100 levels.")


def _call(payload: Any, vocabulary: Vocabulary) -> Call:
    if not isinstance(payload, Mapping):
        raise ValidationError("A tool call is a JSON object.", hint='For instance {"tool": "cas", "params": {…}}.')
    if payload.get("method") == "tools/call" and isinstance(payload.get("params"), Mapping):
        payload = payload["params"]
    name, body = _split(payload)
    method = body.pop("method", None)
    if method is not None and not isinstance(method, str):
        raise ValidationError(f"method = {method!r} is not a text.")
    if name in _FAMILY_OF:
        return Call(tool=_FAMILY_OF[name], method=name, params=body)
    for prefix, family in _PREFIXES.items():
        bare = name.removeprefix(prefix)
        if name.startswith(prefix) and bare in LAB_METHODS[family]:
            return Call(tool=family, method=bare, params=body)
    if name in LAB_METHODS:
        return _lab_call(name, method, body)
    return vocabulary.resolve(name, method, body)


def _split(payload: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the tool's name and everything else as one mapping."""
    if "tool" in payload:
        name, inner = payload["tool"], payload.get("params", {})
        rest = {key: value for key, value in payload.items() if key not in ("tool", "params")}
    elif "name" in payload and "arguments" in payload:
        name, inner, rest = payload["name"], payload["arguments"], {}
    elif isinstance(payload.get("method"), str) and payload["method"].startswith(tuple(_PREFIXES)):
        name, inner = payload["method"], payload.get("params", {})
        rest = {key: value for key, value in payload.items() if key not in ("method", "params", "id", "jsonrpc")}
    else:
        raise ValidationError(
            "The payload names no tool.",
            hint='Give "tool" (or "name" with "arguments"), for instance {"tool": "constants_get", "name": "c"}.',
        )
    if not isinstance(name, str):
        raise ValidationError(f"tool = {name!r:.80} is not a text.", hint='Give the name of a tool, such as "cas".')
    if not isinstance(inner, Mapping):
        raise ValidationError(
            f"params = {inner!r:.80} is not an object.", hint='Give {"name of a parameter": value, …}.'
        )
    clash = sorted(set(rest) & set(inner))
    if clash:
        raise ValidationError(f"'{clash[0]}' stands both beside and inside 'params'.", hint="Give it once.")
    return name, {**inner, **rest}


def _lab_call(family: str, method: str | None, body: dict[str, Any]) -> Call:
    methods = LAB_METHODS[family]
    if method is None:
        method = body.pop("action", None)
    if method is None and family == "experiment_orchestrator" and ("dag" in body or "nodes" in body):
        method = "define_dag"
    if method is not None:
        for prefix in _PREFIXES:
            method = str(method).removeprefix(prefix)
    if method not in methods:
        problem = "lacks its method" if method in (None, "undefined") else f"has no method '{method}'"
        raise ValidationError(f"{family} {problem}.", hint=nearest(str(method or ""), methods))
    return Call(tool=family, method=method, params=body)


def read_dag(spec: Any, vocabulary: Vocabulary) -> Dag:
    """Return the DAG that a specification spells (forms F and G, the seed's `dag: […]`, nodes without edges).

    Raises:
        ValidationError: It has not the shape of a DAG; every finding is in `details["problems"]`.
    """
    try:
        return _dag(spec, vocabulary)
    except RecursionError as error:
        raise _too_deep() from error


def _dag(spec: Any, vocabulary: Vocabulary) -> Dag:
    if isinstance(spec, list):
        spec = {"nodes": spec}
    if not isinstance(spec, Mapping):
        raise ValidationError("A DAG is a JSON object.", hint="Give 'nodes', a list of {id, tool, params}.")
    spec = _unwrap(spec)
    late = [name for name in _LATER if name in spec]
    if late:
        raise ValidationError(f"'{late[0]}': {_LATER[late[0]]} are not supported.", hint="Write one node per value.")
    steps = spec.get("nodes", spec.get("dag", spec.get("steps")))
    if not isinstance(steps, list):
        raise ValidationError("The DAG lacks its list of nodes.", hint="Give 'nodes': [{id, tool, params}, …].")
    known = {
        "nodes",
        "dag",
        "steps",
        "edges",
        "metadata",
        "name",
        "method",
        "action",
        "tool",
        "params",
        "bib",
        *_METADATA,
    }
    unknown = sorted(set(spec) - known)
    problems: list[str] = [f"unknown key '{name}' of the DAG. {nearest(name, known)}" for name in unknown]
    nodes: list[Node] = []
    for index, step in enumerate(steps):
        try:
            nodes.append(_read_node(step, index, nodes, vocabulary))
        except ValidationError as error:
            problems.append(f"node {_label(step, index)}: {error}")
    metadata = spec.get("metadata") or {}
    if not isinstance(metadata, Mapping):
        problems.append(f"metadata = {metadata!r} is not an object.")
        metadata = {}
    metadata = dict(metadata)
    metadata.setdefault("title", spec.get("title") or spec.get("name") or "")
    for name in (*_METADATA, "bib"):
        if spec.get(name):
            metadata.setdefault(name, spec[name])
    try:
        if not problems:
            texts: dict[str, Any] = {name: str(metadata.get(name) or "") for name in _METADATA}
            bib = metadata.get("bib") or ()
            texts["bib"] = (bib,) if isinstance(bib, str) else tuple(bib)
            return Dag.model_validate({"nodes": tuple(nodes), "edges": tuple(spec.get("edges") or ()), **texts})
    except (pydantic.ValidationError, TypeError) as error:
        problems.append(_short(error))
    raise ValidationError(
        f"The DAG cannot be read: {'; '.join(problems[:5])}" + ("; …" if len(problems) > 5 else ""),
        hint="A node is {id, tool, method?, params, dependencies?, visual_outputs?}; an edge {from, to, data_key?}.",
        details={"problems": problems},
    )


def _unwrap(spec: Mapping[str, Any]) -> Mapping[str, Any]:
    """Take the DAG out of a tool call (`{tool: experiment_orchestrator, params: {dag: […]}}`) or a `spec` key."""
    while True:
        inner = next((spec[key] for key in ("spec", "params", "arguments") if isinstance(spec.get(key), Mapping)), None)
        if inner is None or "nodes" in spec or "dag" in spec:
            return spec
        spec = inner


def _read_node(step: Any, index: int, before: list[Node], vocabulary: Vocabulary) -> Node:
    if not isinstance(step, Mapping):
        raise ValidationError("it is not an object.")
    if not isinstance(step.get("tool"), str):
        raise ValidationError("it names no tool.", hint='Give "tool": "<name>".')
    late = [name for name in _LATER if name in step]
    if late:
        raise ValidationError(f"'{late[0]}': {_LATER[late[0]]} are not supported.")
    if not isinstance(step.get("params", {}), Mapping):
        raise ValidationError("'params' is not an object.")
    fields = {key: value for key, value in step.items() if key in _NODE_FIELDS and value is not None}
    inline = {key: value for key, value in step.items() if key not in _NODE_FIELDS}
    clash = sorted(set(inline) & set(step.get("params", {})))
    if clash:
        raise ValidationError(f"'{clash[0]}' stands both beside and inside 'params'.")
    if "params" in step:
        for key in inline:
            meant = difflib.get_close_matches(key, _NODE_FIELDS, n=1, cutoff=0.8)
            if meant:
                raise ValidationError(f"unknown key '{key}'.", hint=f"Did you mean '{meant[0]}'?")
    params = _previous({**step.get("params", {}), **inline}, before)
    call = vocabulary.resolve(step["tool"], step.get("method"), params)
    if call.tool in LAB_METHODS and isinstance(call.params.get("spec"), Mapping | list):
        call = call.model_copy(update={"params": {**call.params, "spec": json.dumps(call.params["spec"])}})
    fields |= {"tool": call.tool, "method": call.method, "params": call.params}
    fields.setdefault("id", f"step{index + 1}_{call.tool}")
    try:
        return Node.model_validate(fields)
    except pydantic.ValidationError as error:
        raise ValidationError(_short(error)) from error


def _previous(value: Any, before: list[Node]) -> Any:
    """Return a value with `from_previous_step` and `from_<tool>` as references to the nodes they mean."""
    if isinstance(value, Mapping):
        return {key: _previous(item, before) for key, item in value.items()}
    if isinstance(value, list):
        return [_previous(item, before) for item in value]
    if not isinstance(value, str) or not value.startswith("from_"):
        return value
    if value == PREVIOUS:
        if not before:
            raise ValidationError(f"'{PREVIOUS}' stands in the first node.", hint="There is no previous step.")
        return f"from:{before[-1].id}"
    tool = value.removeprefix("from_")
    match = next((node.id for node in reversed(before) if node.tool == tool), None)
    return f"from:{match}" if match else value


def _label(step: Any, index: int) -> str:
    return repr(step["id"]) if isinstance(step, Mapping) and "id" in step else f"number {index + 1}"


def _short(error: Exception) -> str:
    if isinstance(error, pydantic.ValidationError):
        return "; ".join(
            f"{'.'.join(map(str, item['loc'])) or 'value'} = {item['input']!r}: {item['msg']}"[:300]
            for item in error.errors()[:5]
        )
    return str(error)
