"""`call`: one tool call as JSON, in any spelling; the answer is one JSON object."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from physlab.cli.options import NoServer
from physlab.cli.output import voice

if TYPE_CHECKING:
    from physlab.model import Call
    from physlab.service import Reply


def call(
    source: Annotated[str, typer.Argument(metavar="FILE|-", help="The call as JSON; - reads it from stdin.")] = "-",
    no_server: NoServer = False,
) -> int:
    """Answer one tool call, given and answered as JSON.

    Logs go to stderr.

    Exit code: 0 all is well, 1 with {"error": {code, message, hint, details}}.
    """
    from physlab import service
    from physlab.lab import Lab
    from physlab.settings import load_settings
    from physlab.spelling import read_call

    payload = _payload(source)
    base = Path.cwd() if source == "-" else Path(source).absolute().parent
    with Lab(load_settings()) as lab:
        asked = read_call(payload, lab.vocabulary)
        if asked.method != "run_dag":
            return _answer(service.answer(lab, asked, base))
    return _answer(_run(asked, base, server=not no_server))


def _payload(source: str) -> Any:
    from physlab.errors import ValidationError
    from physlab.specfile import parse_spec, read_spec

    if source != "-":
        return read_spec(Path(source))
    text = sys.stdin.read()
    if not text.strip():
        raise ValidationError("There is no call on stdin.", hint="Pipe JSON into it: … | physlab call -")
    return parse_spec(text, "stdin", json_only=True)


def _run(asked: Call, base: Path, *, server: bool) -> Reply:
    """Run a graph as `physlab run` does."""
    from physlab import service
    from physlab.cli.run import conduct

    dag, wishes = service.read_run_call(asked.params)
    if isinstance(dag, str) and (base / dag).is_file():
        dag = str(base / dag)
    return conduct(dag, wishes, server=server)


def _answer(reply: Reply) -> int:
    voice.reply(reply.as_object())
    return 0 if reply.error is None else 1
