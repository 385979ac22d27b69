"""The cells of a notebook: the call in its language, and what it answered."""

from __future__ import annotations

import base64
import json
import pprint
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from physlab.errors import ValidationError
from physlab.tools.types import File
from physlab.tools.workcopy import to_json

MOST_VALUES = 10_000
_PNG = "iVBORw0KGgo"  # how a PNG begins in base64


@dataclass(frozen=True)
class Kernel:
    """A language of notebooks: its kernel, what comes first, and how a call is written."""

    language: str
    name: str
    display_name: str
    opening: str

    @property
    def spec(self) -> dict[str, str]:
        """The kernel as notebooks name it."""
        return {"name": self.name, "display_name": self.display_name, "language": self.language}


_PYTHON = '''
from IPython.display import Image, display

from physlab import Dag


def call(tool, params, method=None):
    """Run one tool call of physlab, show its figures, and return its fields."""
    dag = Dag(tool)
    dag.node(tool, method, id="call", params=params)
    fields = dag.run(server=False)["call"]
    for value in fields.values():
        if getattr(value, "media_type", "") == "image/png":
            display(Image(value.path.read_bytes()))
    return fields
'''.strip()
_JULIA = """
# Runs one tool call through the command line of physlab and returns its reply, a JSON text.
call(payload) = read(pipeline(`physlab call -`; stdin = IOBuffer(payload)), String)
""".strip()
_R = """
# Runs one tool call through the command line of physlab and returns its reply, a JSON text.
physlab_call <- function(payload) {
  paste(system2("physlab", c("call", "-"), input = payload, stdout = TRUE), collapse = "\\n")
}
""".strip()
KERNELS = {
    "python3": Kernel("python", "python3", "Python 3", _PYTHON),
    "julia": Kernel("julia", "julia", "Julia", _JULIA),
    "r": Kernel("R", "ir", "R", _R),
}


def opening(kernel: str) -> str:
    """Return the first cell, which defines how a call is made."""
    return KERNELS[kernel].opening


def call_source(kernel: str, tool: str, method: str | None, params: Mapping[str, Any], number: int) -> str:
    """Return the cell of one tool call.

    Raises:
        ValidationError: A parameter has no form in the language, or holds too many numbers.
    """
    plain = to_json(_paths(params, tool), f"params of {tool}")
    if (count := _count(plain)) > MOST_VALUES:
        raise ValidationError(
            f"The parameters of call {number} ({tool}) hold {count} values, more than the {MOST_VALUES} of a cell.",
            hint="Let the session read them from a file.",
        )
    payload = {"tool": tool, **({"method": method} if method else {}), "params": plain}
    return _WRITERS[kernel](payload, number)


def _python(payload: dict[str, Any], number: int) -> str:
    written = pprint.pformat(payload["params"], width=92, sort_dicts=False, compact=True)
    method = f", method={payload['method']!r}" if "method" in payload else ""
    joint = "\n    " if "\n" in written else ""
    written = written.replace("\n", "\n    ") if joint else written
    end = ",\n" if joint else ""
    after = f"{end}    {method[2:]},\n" if joint and method else end or method
    return f"result_{number} = call({joint}{payload['tool']!r},{joint or ' '}{written}{after})\nresult_{number}"


def _julia(payload: dict[str, Any], number: int) -> str:
    text = json.dumps(payload).replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$")
    return f'result_{number} = call("{text}")\nprint(result_{number})'


def _r(payload: dict[str, Any], number: int) -> str:
    text = json.dumps(payload).replace("\\", "\\\\").replace('"', '\\"')
    return f'result_{number} <- physlab_call("{text}")\ncat(result_{number}, "\\n")'


_WRITERS = {"python3": _python, "julia": _julia, "r": _r}


def _paths(value: Any, where: str) -> Any:
    """Return a parameter with files as their paths."""
    if isinstance(value, File):
        return str(value.path)
    if isinstance(value, Mapping):
        return {str(key): _paths(item, where) for key, item in value.items()}
    return [_paths(item, where) for item in value] if isinstance(value, list | tuple) else value


def _count(value: Any) -> int:
    if isinstance(value, dict):
        return sum(map(_count, value.values()))
    return sum(map(_count, value)) if isinstance(value, list) else 1


def outputs_of(result: Any, count: int) -> Iterator[dict[str, Any]]:
    """Yield the outputs of a cell: its pictures, then its fields as Python shows them."""
    pictures: list[str] = []
    shown = _shown(result, pictures)
    for picture in pictures:
        yield {"output_type": "display_data", "data": {"image/png": picture, "text/plain": "<PNG picture>"}}
    text = pprint.pformat(shown, width=92, sort_dicts=False, compact=True)
    yield {"output_type": "execute_result", "execution_count": count, "data": {"text/plain": text}}


def _shown(value: Any, pictures: list[str]) -> Any:
    """Return a result as it is shown, and collect its pictures."""
    if isinstance(value, File):
        if value.media_type == "image/png" and value.path.is_file():
            pictures.append(base64.b64encode(value.path.read_bytes()).decode())
        return f"<{value.name}>"
    if isinstance(value, str):
        if value.startswith(_PNG):
            pictures.append("".join(value.split()))
            return "<PNG picture>"
        return value if len(value) <= 2000 else value[:2000] + f" … ({len(value)} characters)"
    if isinstance(value, Mapping):
        return {str(key): _shown(item, pictures) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return value
    if isinstance(value, list | tuple):
        array = np.asarray(value) if len(value) > 20 and all(isinstance(item, int | float) for item in value) else None
        return array if array is not None else [_shown(item, pictures) for item in value]
    return value
