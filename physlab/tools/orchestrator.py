"""`experiment_orchestrator` as nodes: a graph may define, validate, run and publish other graphs.

The lab answers them itself, in the conductor's process; what they are about runs where it always runs.
"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any, Literal

from pydantic import AliasChoices, Field

from physlab.model.record import OffloadPolicy
from physlab.tools.context import Context
from physlab.tools.registry import Port, registry
from physlab.tools.types import Params

FAMILY = "experiment_orchestrator"
NAMED = AliasChoices("dag_id", "dag", "name")
SETTINGS: dict[str, Any] = {"asks_lab": True, "lasting": False, "time_limit_s": None, "kind": "text"}

registry.tool(
    FAMILY, summary="Other graphs: define, validate, run and publish them from a node.", discriminator="method"
)


class DefineParams(Params):
    """A graph, or the text that describes it."""

    spec: str | None = Field(None, description="The graph: an object, JSON or YAML text, or the name of a file.")
    natural_language: str | None = Field(None, description="A text instead: `solve …, then plot it`.")


class ValidateParams(Params):
    """A graph that is known."""

    dag_id: str = Field(validation_alias=NAMED, description="Its id, its title, a file, or a text.")


class RunParams(ValidateParams):
    """A graph, and how to run it."""

    parallelism: int | None = Field(None, ge=1, le=16, description="Nodes at once; default: the lab's.")
    offload_policy: OffloadPolicy | None = Field(
        None,
        validation_alias=AliasChoices("offload_policy", "execution_policy"),
        description="Where nodes go; default: the lab's.",
    )
    refresh: bool | None = Field(None, description="Compute everything again.")
    fail_fast: bool | None = Field(None, description="Stop at the first failed node; default: the lab's.")
    cache_enabled: bool | None = Field(None, description="False computes everything again.")
    parallel_execution: bool | None = Field(None, description="False runs one node at a time.")


class PublishParams(Params):
    """A run, and what stands on the title page."""

    run_id: str = Field(
        validation_alias=AliasChoices("run_id", "run", "dag_id"), description="The run, such as from:study.run_id."
    )
    title: str | None = Field(None, description="Title of the paper; default: the graph's.")
    authors: list[str] | None = Field(None, description="Names below it.")
    abstract: str | None = Field(None, description="Abstract; default: the graph's description.")
    bib: list[str] | None = Field(None, description="BibTeX entries, or files of them.")
    format: Literal["pdf"] = Field("pdf", description="The format.")


@registry.method(
    FAMILY,
    "define_dag",
    params=DefineParams,
    returns=(
        Port("dag_id", "text", description="Its id"),
        Port("validated", "boolean", description="True: a wrong graph fails the node"),
        Port("nodes", "list", description="Its nodes"),
        Port("edges", "list", description="Its edges"),
        Port("warnings", "list", description="What validation remarked"),
        Port("ui_overview_png_b64", "image", description="Its picture"),
    ),
    **SETTINGS,
)
def define_dag(params: DefineParams, context: Context) -> dict[str, Any]:
    """Keep a graph under its id, check it and draw it."""
    body = context.ask_lab("define_dag", params)
    picture = base64.b64decode(body["ui_overview_png_b64"])
    file = context.save(
        picture, "overview.png", role="static", caption=f"The graph {body['dag_id']}.", field="ui_overview_png_b64",
        show="base64",
    )  # fmt: skip
    return {**body, "ui_overview_png_b64": file}


@registry.method(
    FAMILY,
    "validate_dag",
    params=ValidateParams,
    returns=(
        Port("dag_id", "text", description="Its id"),
        Port("ok", "boolean", description="True when it will run"),
        Port("warnings", "list", description="What may be meant otherwise"),
        Port("problems", "list", description="Everything that is wrong: {severity, node_id, code, message, hint}"),
    ),
    **SETTINGS,
)
def validate_dag(params: ValidateParams, context: Context) -> dict[str, Any]:
    """Find everything that is wrong with a graph."""
    return context.ask_lab("validate_dag", params)


@registry.method(
    FAMILY,
    "run_dag",
    params=RunParams,
    returns=(
        Port("run_id", "text", description="Name of the run"),
        Port("dag_id", "text", description="Id of the graph"),
        Port("status", "text", description="`completed`: a failed run fails the node"),
        Port("artifacts", "list", description="Digests of its files"),
        Port("reportable", "object", description="Its figures and tables: {path, caption, node_id}"),
        Port("nodes", "list", description="What became of each node"),
        Port("files", "object", description="Its files: name → digest"),
        Port("results", "text", description="Its folder of results"),
        Port("run", "object", description="How it went: cache_hits, duration_ms, device_mix"),
    ),
    **SETTINGS,
)
def run_dag(params: RunParams, context: Context) -> dict[str, Any]:
    """Run a graph inside this one; what is cached is not run again."""
    body = context.ask_lab("run_dag", params)
    return {**{name: value for name, value in body.items() if name != "meta"}, "run": body["meta"]}


@registry.method(
    FAMILY,
    "publish_report",
    params=PublishParams,
    returns=(
        Port("pdf_path", "file", description="The paper"),
        Port("run_id", "text", description="The run that it is about"),
    ),
    **SETTINGS,
)
def publish_report(params: PublishParams, context: Context) -> dict[str, Any]:
    """Write the paper of a run."""
    body = context.ask_lab("publish_report", params)
    path = Path(body["pdf_path"])
    copy = context.workdir / "report.pdf"
    copy.write_bytes(path.read_bytes())
    file = context.save(copy, "report.pdf", role="document", caption="The paper.", field="pdf_path")
    return {"pdf_path": file, "run_id": body["run_id"]}
