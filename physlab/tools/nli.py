"""`nli_parse`: a text to tool calls; what was not understood is said."""

from __future__ import annotations

import json
from typing import Any

from pydantic import Field

from physlab.errors import PhyslabError
from physlab.language import EXAMPLES, Understanding, understand
from physlab.settings import load_settings
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
        Port("reworded", "list", description="What the configured model put in other words: {text, words}"),
        Port("dag", "object", description="The graph of everything that was understood; null when that is nothing"),
    ),
    lasting=False,
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
    said: list[dict[str, str]] = []
    found = understand(params.text)
    if found.missed:
        found, said = _reword(params.text, found, context)
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
        "reworded": said,
        "dag": dag,
    }


def _reword(text: str, found: Understanding, context: Context) -> tuple[Understanding, list[dict[str, str]]]:
    """Let the configured model, if there is one, put in other words what was not understood.

    Its words are read by the same rules as anybody's, so that it can choose a step but not make one up.
    """
    endpoint = load_settings().endpoint
    if endpoint.base_url is None or not endpoint.sentences:
        return found, []
    from physlab.tools.endpoint import ask_model

    parts = [missed.text for missed in found.missed]
    quick = endpoint.model_copy(update={"timeout_s": endpoint.sentences_timeout_s})
    try:
        answer = ask_model(quick, json.dumps({"text": text, "parts": parts}), system=_TASK, json=True)
        told = json.loads(answer.text)["words"]
        words = [str(told.get(part, "")) for part in parts]
    except (PhyslabError, ValueError, KeyError, TypeError, AttributeError) as error:
        context.warn(f"The model {endpoint.model} was asked for other words and gave none: {error}.")
        return found, []
    fresh = " ".join(text.split())
    for part, word in zip(parts, words, strict=True):
        fresh = fresh.replace(part, word, 1) if word.strip() else fresh
    better = understand(fresh)
    if len(better.missed) >= len(found.missed):
        return found, []
    said = [{"text": part, "words": word} for part, word in zip(parts, words, strict=True) if word.strip()]
    for item in said:
        context.warn(f"'{item['text']}' was read as '{item['words']}', words of the model {answer.model}: check them.")
    return better, said


_TASK = (
    "You rewrite parts of a physicist's request so that a strict parser understands them. Sentences that it "
    f"understands look like: {'; '.join(EXAMPLES)}. Use only facts of the request, never invent numbers. The user "
    "sends JSON with the whole text and the parts that were not understood. Answer with a JSON object "
    '{"words": {part: rewritten}}; '
    "give an empty string for a part that no such sentence can say."
)


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
