"""`nli_parse`: a text to tool calls; what was not understood is said."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from physlab.language import EXAMPLES, Understanding, understand
from physlab.tools.context import Context
from physlab.tools.registry import Port, registry
from physlab.tools.types import Params

registry.tool("nli_parse", summary="A text to tool calls, with what was not understood.")


class NliParams(Params):
    """What somebody wants."""

    text: str = Field(
        min_length=1, max_length=5000, description="One or more steps in English: `solve …, then plot it from 0 to 10`."
    )


@registry.method(
    "nli_parse",
    params=NliParams,
    returns=(
        Port("intent", "text", description="The tool to call; `experiment_orchestrator` for several; `unknown`"),
        Port("args", "object", description="Its parameters: {tool: intent, params: args} is a call"),
        Port("confidence", "number", description="Share of the words that were understood, 0 to 1"),
        Port("explanation", "text", description="What will be done, and what was not understood"),
        Port("steps", "list", description="What was understood, in order: {text, nodes}"),
        Port("not_understood", "list", description="What was not: {text, why}"),
        Port("dag", "object", description="The graph of everything that was understood; null when that is nothing"),
    ),
    inline=True,
    kind="text",
)
def nli_parse(params: NliParams, context: Context) -> dict[str, Any]:
    """Read a text as tool calls; exactly, or not at all.

    Args:
        params: The text.
        context: Gets a warning for each part that was not understood.

    Returns:
        One call, or a graph for several.
    """
    found = understand(params.text)
    for missed in found.missed:
        context.warn(f"'{missed.text}' is not understood: {missed.why}.")
    dag = found.spec(params.text) if found.nodes else None
    intent, args = _call(found, dag)
    words, lost = (sum(len(item.text.split()) for item in items) for items in (found.steps, found.missed))
    return {
        "intent": intent,
        "args": args,
        "confidence": round(words / (words + lost), 3) if words + lost else 0.0,
        "explanation": _explain(found),
        "steps": [{"text": step.text, "nodes": list(step.nodes)} for step in found.steps],
        "not_understood": [{"text": missed.text, "why": missed.why} for missed in found.missed],
        "dag": dag,
    }


def _call(found: Understanding, dag: dict[str, Any] | None) -> tuple[str, dict[str, Any]]:
    if dag is None:
        return "unknown", {}
    if len(found.nodes) > 1:
        return "experiment_orchestrator", {"method": "define_dag", "spec": dag}
    [node] = found.nodes
    discriminator = registry.tools[node["tool"]].discriminator or "method"
    method = {discriminator: node["method"]} if "method" in node else {}
    flags = {"static": "emit_plots", "series": "emit_csv", "animation": "emit_animation"}
    wanted = {flags[what]: True for what, asked in node.get("visual_outputs", {}).items() if asked}
    return node["tool"], {**method, **node["params"], **wanted}


def _explain(found: Understanding) -> str:
    said = []
    for step in found.steps:
        nodes = [node for node in found.nodes if node["id"] in step.nodes]
        tools = ", ".join(".".join(filter(None, (node["tool"], node.get("method")))) for node in nodes)
        said.append(f"'{step.text}' is {tools or 'a change of the step before'}.")
    said += [f"'{missed.text}' is not understood: {missed.why}." for missed in found.missed]
    if not found.steps:
        said.append(f"Understood are for instance: {'; '.join(map(repr, EXAMPLES))}.")
    return " ".join(said)
