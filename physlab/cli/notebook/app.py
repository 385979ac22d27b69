"""`notebook`: what was done and seen, kept with its files and runs, signed."""

from __future__ import annotations

import typer

from physlab.cli.notebook import check, find, look, speak, write

app = typer.Typer(
    name="notebook", help="What was done and seen, with its files and runs, signed.", no_args_is_help=True
)
for name, command in (
    ("add", write.add),
    ("list", look.list_all),
    ("show", look.show),
    ("revise", write.revise),
    ("diff", look.diff),
    ("comment", speak.comment),
    ("review", speak.review),
    ("sign", speak.sign),
    ("verify", check.verify),
    ("export", check.export),
    ("print", look.print_entries),
    ("search", find.search),
    ("contents", find.contents),
    ("templates", find.templates),
    ("import", find.import_entries),
    ("heads", look.heads),
):
    app.command(name)(command)
