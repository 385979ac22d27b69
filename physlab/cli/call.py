"""`call`: one tool call as JSON, in any spelling; the answer is one JSON object."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from physlab.cli.joblog import JOB_GOES_ON, tell_job_logs
from physlab.cli.options import NoServer
from physlab.cli.output import voice

if TYPE_CHECKING:
    from physlab.model import Call
    from physlab.service import Reply
    from physlab.sites.forerunner import Forerunner


def call(
    source: Annotated[
        str,
        typer.Argument(metavar="FILE|JSON|-|TOOL.METHOD", help="The call as JSON, - from stdin; or a method's name."),
    ] = "-",
    values: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME=VALUE]...", help="With a name: its parameters, text or JSON.")
    ] = None,
    no_server: NoServer = False,
) -> int:
    """Answer one tool call, given and answered as JSON.

    Or typed: physlab call cas.diff expr='x^2*sin(x)' symbol=x. Logs go to stderr.

    Exit code: 0 all is well, 1 with {"error": {code, message, hint, details}}.
    """
    typed = bool(values) or _is_name(source)
    payload = _typed(source, values or []) if typed else _payload(source)
    base = Path.cwd() if typed or source == "-" or _is_json(source) else Path(source).absolute().parent
    forerunner = _start_ahead(payload)
    from physlab import service
    from physlab.lab import Lab
    from physlab.settings import load_settings
    from physlab.spelling import read_call

    tell_job_logs()
    with Lab(load_settings(), forerunner) as lab:
        asked = read_call(payload, lab.vocabulary)
        if asked.method == "job_submit":
            voice.parting = JOB_GOES_ON
        if asked.method != "run_dag":
            reply = service.answer(lab, asked, base)
            if asked.method == "artifact_versioning" and "backup" in reply.body and not no_server:
                from physlab.engine.backups import activated

                reply.body = activated(lab.settings, reply.body)
            return _answer(reply)
    return _answer(_run(asked, base, server=not no_server))


def _payload(source: str) -> Any:
    from physlab.errors import ValidationError
    from physlab.specfile import parse_spec, read_spec

    if _is_json(source):
        return parse_spec(source, "the call", json_only=True)
    if source != "-":
        return read_spec(Path(source))
    text = sys.stdin.read()
    if not text.strip():
        raise ValidationError("There is no call on stdin.", hint="Pipe JSON into it: … | physlab call -")
    return parse_spec(text, "stdin", json_only=True)


def _start_ahead(payload: Any) -> Forerunner | None:
    """Start the worker of the call, when it will need one, before anything else is loaded."""
    from physlab.sites.worker import limit_threads

    if sys.platform != "linux" or not isinstance(payload, dict):
        return None
    name = payload.get("tool", payload.get("name"))
    if not isinstance(name, str):
        return None
    limit_threads(1)
    from physlab.tools import load_tools

    registry = load_tools()
    tool = name if name in registry.tools else registry.aliases.get(name, (None, None))[0]
    methods = list(registry.tools[tool].methods.values()) if tool else []
    if not methods or any(method.inline or method.asks_lab or method.keeps_time for method in methods):
        return None
    from physlab.sites.forerunner import Forerunner

    shared = set(methods[0].imports).intersection(*(method.imports for method in methods))
    return Forerunner(["physlab.tools.execute", "physlab.plugins", *sorted(shared)])


def _is_json(source: str) -> bool:
    return source.lstrip().startswith("{")


def _is_name(source: str) -> bool:
    """Say whether a word is the name of a method, `cas.diff`, and not that of a file."""
    if _is_json(source):
        return False
    known_file = source.endswith((".json", ".yaml", ".yml")) or Path(source).exists()
    return re.fullmatch(r"[A-Za-z_]\w*(\.\w+)?", source) is not None and not known_file


def _typed(name: str, values: list[str]) -> dict[str, Any]:
    """Read `cas.diff expr=x^2 symbol=x`."""
    tool, _, method = name.partition(".")
    params = named_values(values, f"physlab call {name} name=value")
    return {"tool": tool, **({"method": method} if method else {}), "params": params}


def named_values(words: Iterable[str], example: str) -> dict[str, Any]:
    """Return values that are written as NAME=VALUE, each once.

    Raises:
        ValidationError: A word is not of that form.
    """
    from physlab.errors import ValidationError
    from physlab.tools.examples import read

    found: dict[str, Any] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key.isidentifier() or key in found:
            raise ValidationError(f"'{word}' is not a new NAME=VALUE.", hint=f"Write each parameter once: {example}")
        found[key] = read(value)
    return found


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
