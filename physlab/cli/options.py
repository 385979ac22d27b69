"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

DagArgument = Annotated[
    str, typer.Argument(metavar="DAG", help="A file (YAML or JSON), an id, a title, or a sentence in quotes.")
]
RunArgument = Annotated[
    str, typer.Argument(metavar="RUN", help="A run's id or its beginning, 'latest', or the id or title of its graph.")
]
Json = Annotated[bool, typer.Option("--json", help="Print exactly one JSON object.")]
NoServer = Annotated[bool, typer.Option("--no-server", help="Run without Prefect; run again with it to see it there.")]
Results = Annotated[
    Path | None, typer.Option("--results", metavar="DIR", help="Folder for results.", show_default=False)
]
Open = Annotated[bool, typer.Option("--open", help="Open the result.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
