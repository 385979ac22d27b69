"""`report_generate`: what was done in a session, as Markdown with its figures beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import AliasChoices, Field

from physlab.tools.context import Context
from physlab.tools.registry import Port, registry
from physlab.tools.types import Params

Section = Literal["cas", "plots", "constants", "units", "events", "artifacts"]

registry.tool("report_generate", summary="What was done in a session, as Markdown with its figures.")


class ReportParams(Params):
    """Which session, and what to tell of it."""

    session_id: str = Field(
        validation_alias=AliasChoices("session_id", "session", "run_id"),
        min_length=1,
        description="A run, `latest`, a graph by id or title (all its runs), a day such as `2026-11-21` (UTC), or "
        "`lab` for everything.",
    )
    format: Literal["markdown"] = Field("markdown", description="The format; publish_report writes PDF.")
    title: str = Field("Session report", min_length=1, max_length=300, description="Heading of the report.")
    author: str = Field("", max_length=300, description="Name below it.")
    include: list[Section] = Field(
        ["cas", "plots", "constants", "units", "events", "artifacts"], description="Sections, in this order."
    )


@registry.method(
    "report_generate",
    params=ReportParams,
    returns=(
        Port("report_path", "file", description="The report; its figures lie beside it"),
        Port("format", "text", description="As given"),
        Port("bytes", "number", "byte", description="Size of the report"),
        Port("session_id", "text", description="As given"),
        Port("title", "text", description="As given"),
        Port("author", "text", description="As given"),
        Port("runs", "list", description="The runs that it tells of"),
    ),
    asks_lab=True,
    lasting=False,
    time_limit_s=None,
    kind="text",
)
def report_generate(params: ReportParams, context: Context) -> dict[str, Any]:
    """Write down what was done: formulas, constants, figures, every call, and every file by its digest."""
    told = context.ask_lab("report_generate", params, without=("format",))
    text = told["markdown"].encode()
    for name, path in told["files"].items():
        target = context.workdir / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(Path(path).read_bytes())
        context.save(target, name, role="thumbnail")
    file = context.save(text, "report.md", role="document", caption=f"{params.title}.", field="report_path")
    given = {"format": params.format, "session_id": params.session_id, "title": params.title, "author": params.author}
    return {"report_path": file, "bytes": len(text), **given, "runs": told["runs"]}
