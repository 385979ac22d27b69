"""Arguments and options of the notebook's commands."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Entry = Annotated[
    str, typer.Argument(metavar="ENTRY", help="An entry's id or its beginning, ENTRY@2 for a revision, or sha256:….")
]
Notebook = Annotated[
    str | None,
    typer.Option("--notebook", "--session", metavar="NAME", help="Unset: collaboration.session.", show_default=False),
]
Into = Annotated[
    str | None,
    typer.Option(
        "--notebook", "--session", metavar="NAME", show_default=False,
        help="Unset: that of the runs, else collaboration.session.",
    ),
]  # fmt: skip
PassphraseFile = Annotated[
    Path | None,
    typer.Option("--passphrase-file", metavar="FILE", help="File with the passphrase (mode 600).", show_default=False),
]
Text = Annotated[str | None, typer.Option("--text", help="What was done and seen: Markdown.", show_default=False)]
TextFile = Annotated[
    Path | None, typer.Option("--file", metavar="FILE", help="It from a file; - is stdin.", show_default=False)
]
Edit = Annotated[bool, typer.Option("--edit", help="Write it in $EDITOR.")]
Conclusions = Annotated[str | None, typer.Option("--conclusions", help="What follows: Markdown.", show_default=False)]
Attach = Annotated[
    list[str] | None, typer.Option("--attach", "-a", metavar="FILE", help="A file of it.", show_default=False)
]
Run = Annotated[
    list[str] | None, typer.Option("--run", metavar="RUN", help="A run that it speaks of.", show_default=False)
]
Tag = Annotated[list[str] | None, typer.Option("--tag", help="A word to find it by.", show_default=False)]
Tool = Annotated[list[str] | None, typer.Option("--tool", help="A tool that was used.", show_default=False)]
Sign = Annotated[bool, typer.Option("--sign", help="Sign it as its author.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be written.")]
