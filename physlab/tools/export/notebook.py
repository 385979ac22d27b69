"""A Jupyter notebook that repeats a session: every tool call is a cell that really runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from physlab.tools.context import Context
from physlab.tools.export.archive import slug
from physlab.tools.export.notebook_cells import KERNELS, call_source, opening, outputs_of
from physlab.tools.export.notebook_pages import write_page
from physlab.tools.extras import require
from physlab.tools.registry import Port
from physlab.tools.types import Params

PURPOSE = "The export jupyter"
PORTS = (
    Port("notebook_path", "file", description="The notebook"),
    Port("exported_files", "list", description="The notebook, and the page, PDF or slides made from it"),
    Port("cell_count", "number", "1", "how many cells it has"),
)
MEDIA = {"ipynb": "application/x-ipynb+json"}


class Event(BaseModel):
    """One thing that happened in a session."""

    model_config = ConfigDict(frozen=True, extra="ignore", arbitrary_types_allowed=True)

    type: Literal["tool_call", "note"] = "tool_call"
    tool_name: str | None = None
    method: str | None = None
    params: dict[str, Any] = {}
    result: Any = None
    text: str = ""


class Session(BaseModel):
    """What happened, in order."""

    model_config = ConfigDict(frozen=True, extra="ignore", arbitrary_types_allowed=True)

    events: list[Event] = []


def _with_names(session: Session) -> Session:
    for number, event in enumerate(session.events):
        if event.type == "tool_call" and not (event.tool_name or "").strip():
            raise ValueError(f"events.{number} is a tool_call without tool_name")
        if event.type == "note" and not event.text.strip():
            raise ValueError(f"events.{number} is a note without text")
    return session


class JupyterParams(Params):
    """A session, and the notebook made of it."""

    notebook_name: str = Field("physlab", max_length=200, description="Name of the file.")
    session_data: Annotated[Session, AfterValidator(_with_names)] = Field(
        Session(),
        description="{events: [{type: tool_call, tool_name, method, params, result}, {type: note, text}, …]}; what "
        "else stands in it, such as times, is passed over.",
    )
    title: str = Field("", max_length=500, description="Heading; default: the name.")
    description: str = Field("", description="Text below the heading, Markdown.")
    include_outputs: bool = Field(True, description="Show each `result` below its cell, as if it had been run.")
    kernel: Literal["python3", "julia", "r"] = Field(
        "python3", description="Language of the cells; those of Julia and R call the program `physlab`."
    )
    export_format: Literal["ipynb", "html", "pdf", "slides"] = Field(
        "ipynb", description="The notebook alone, or also a page, a PDF or reveal.js slides."
    )


def jupyter(params: JupyterParams, context: Context) -> dict[str, Any]:
    """Write a notebook that repeats the tool calls of a session.

    Cells of Python call physlab through its Python face, those of Julia and R through its command line.

    Args:
        params: The session.
        context: The surroundings of the call.

    Returns:
        The notebook and what was made from it.

    Raises:
        ValidationError: A parameter of a call has no form in the notebook's language.
        MissingExtraError: nbformat or nbconvert is not installed.
    """
    nbformat = require("nbformat", PURPOSE)
    notebook = _notebook(params, nbformat)
    nbformat.validate(notebook)
    name = slug(params.notebook_name.removesuffix(".ipynb"), "notebook")
    title = params.title or params.notebook_name
    text = nbformat.writes(notebook, version=4) + "\n"
    saved = context.save(
        text, f"{name}.ipynb", role="document", caption=f"Notebook '{title}'.", field="notebook_path",
        media_type=MEDIA["ipynb"],
    )  # fmt: skip
    files = [saved]
    if params.export_format != "ipynb":
        require("nbconvert", PURPOSE)
        page, extension, media = write_page(notebook, params.export_format, title)
        files.append(
            context.save(
                page, f"{name}.{extension}", role="document", caption=f"{title}, as {params.export_format}.",
                field="exported_files", media_type=media,
            )
        )  # fmt: skip
    calls = sum(event.type == "tool_call" for event in params.session_data.events)
    context.meta.update(kernel=params.kernel, calls=calls, export_format=params.export_format)
    return {"notebook_path": saved, "exported_files": files, "cell_count": len(notebook.cells)}


def _notebook(params: JupyterParams, nbformat: Any) -> Any:
    v4, kernel = nbformat.v4, KERNELS[params.kernel]
    cells = [_markdown(v4, _heading(params), "slide"), _code(v4, opening(params.kernel), "skip")]
    number = 0
    for event in params.session_data.events:
        if event.type == "note":
            cells.append(_markdown(v4, event.text, "slide"))
            continue
        number += 1
        called = ".".join(filter(None, [event.tool_name, event.method or _method(event.params)]))
        cells.append(_markdown(v4, f"## {number}. {called}", "slide"))
        source = call_source(params.kernel, str(event.tool_name), event.method, event.params, number)
        cell = _code(v4, source, "-")
        if params.include_outputs and event.result is not None:
            cell.execution_count = number + 1
            cell.outputs = [v4.new_output(**shown) for shown in outputs_of(event.result, number + 1)]
        cells.append(cell)
    for place, cell in enumerate(cells):
        cell.id = f"cell-{place:03d}"
    metadata = {"kernelspec": kernel.spec, "language_info": {"name": kernel.language}, "title": params.title}
    return v4.new_notebook(cells=cells, metadata={key: value for key, value in metadata.items() if value})


def _heading(params: JupyterParams) -> str:
    title = params.title or params.notebook_name
    return f"# {title}" + (f"\n\n{params.description}" if params.description else "")


def _method(params: Mapping[str, Any]) -> str | None:
    """Return the method that stands among the parameters of a call."""
    names = ("action", "method", "plot_type", "api", "export_type", "operation")
    found = next((params[name] for name in names if isinstance(params.get(name), str)), None)
    return None if found is None else str(found)


def _markdown(v4: Any, text: str, slide: str) -> Any:
    return v4.new_markdown_cell(text, metadata={"slideshow": {"slide_type": slide}})


def _code(v4: Any, source: str, slide: str) -> Any:
    return v4.new_code_cell(source, metadata={"slideshow": {"slide_type": slide}})
