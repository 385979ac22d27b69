"""The line to a foreman: questions and answers, a line of JSON each, over the pipes of a process."""

from __future__ import annotations

import contextlib
import itertools
import json
import subprocess
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

from physlab.errors import ERRORS, PhyslabError, ResourceError
from physlab.settings import child_environment
from physlab.sites.slurm.commands import PRIVATE

PATIENCE_S = 120.0


def unfold(reply: Mapping[str, Any]) -> PhyslabError:
    """Return the error that came as its reply and the name of its class."""
    told = reply["error"]
    kind = ERRORS.get(str(reply.get("kind")), PhyslabError)
    return kind(told["message"], hint=told.get("hint", ""), details=told.get("details"))


class Link:
    """A running foreman.

    Args:
        command: Starts it.
        hello: Its first line.
        heard: Told of every event.
        lost: Called once when it is gone without having been told to go.
        hint: What to do where it never began.

    Raises:
        ResourceError: It did not start; with its last words.
    """

    def __init__(
        self,
        command: Sequence[str],
        hello: Mapping[str, Any],
        heard: Callable[[dict[str, Any]], None],
        lost: Callable[[str], None],
        hint: str,
    ) -> None:
        self._said = tempfile.TemporaryFile()  # noqa: SIM115  open as long as the process
        try:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._said, text=True, bufsize=1,
                start_new_session=True, env=child_environment({}, drop_prefix=PRIVATE),
            )  # fmt: skip
        except FileNotFoundError as error:
            raise ResourceError(f"{command[0]} cannot be started: {error}.", hint="Is it installed here?") from error
        self._heard, self._lost, self._hint = heard, lost, hint
        self._numbers = itertools.count(1)
        self._waiting: dict[int, Future[dict[str, Any]]] = {}
        self._guard = threading.Lock()
        self._closing = False
        self._ready: Future[None] = Future()
        self._thread = threading.Thread(target=self._listen, name="foreman", daemon=True)
        self._thread.start()
        self._send(dict(hello))
        try:
            self._ready.result(PATIENCE_S)
        except TimeoutError:
            self.close()
            raise ResourceError(f"{command[0]} did not answer within {PATIENCE_S:g} s.", hint="Try again.") from None

    def ask(self, do: str, **given: Any) -> dict[str, Any]:
        """Ask the foreman and return its answer.

        Raises:
            PhyslabError: It answers with one.
            ResourceError: It is gone, or does not answer.
        """
        number, future = next(self._numbers), Future[dict[str, Any]]()
        with self._guard:
            self._waiting[number] = future
        self._send({"id": number, "do": do, "with": given})
        try:
            reply = future.result(PATIENCE_S)
        except TimeoutError:
            raise ResourceError(f"The foreman did not answer within {PATIENCE_S:g} s.", hint="Try again.") from None
        if "error" in reply:
            raise unfold(reply)
        return dict(reply["answer"])

    def tell(self, do: str, **given: Any) -> None:
        """Ask the foreman without waiting for the answer."""
        self._send({"id": next(self._numbers), "do": do, "with": given})

    def close(self, seconds: float = 30.0) -> None:
        """Let the foreman cancel its jobs and end."""
        self._closing = True
        with contextlib.suppress(BrokenPipeError, ValueError):
            if self._process.stdin:
                self._process.stdin.close()
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._thread.join(seconds)
        self._give_back()

    def _give_back(self) -> None:
        for stream in (self._process.stdin, self._process.stdout, self._said):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()

    @property
    def pid(self) -> int:
        """The process at this end."""
        return self._process.pid

    def _send(self, message: dict[str, Any]) -> None:
        if self._process.stdin is None:
            return
        with self._guard, contextlib.suppress(BrokenPipeError, ValueError):  # its end is noticed by the listener
            self._process.stdin.write(json.dumps(message, default=str) + "\n")
            self._process.stdin.flush()

    def _listen(self) -> None:
        for line in self._process.stdout or ():
            try:
                message = json.loads(line)
            except ValueError:
                continue  # a login shell's greeting
            if message.get("event") == "ready":
                self._ready.set_result(None)
            elif "event" in message:
                self._heard(message)
            elif (future := self._waiting.pop(message.get("id", 0), None)) is not None:
                future.set_result(message)
        self._end()

    def _end(self) -> None:
        code = self._process.wait()
        self._said.seek(0)
        said = self._said.read()[-1500:].decode(errors="replace").strip()
        gone = ResourceError(
            f"The foreman beside the cluster ended (exit code {code}): {said.splitlines()[-1] if said else 'no word'}.",
            hint=f"Run again: finished nodes are kept. If it never began: {self._hint}",
            details={"said": said},
        )
        if not self._ready.done():
            self._ready.set_exception(gone)
        with self._guard:
            waiting, self._waiting = list(self._waiting.values()), {}
        for future in waiting:
            future.set_exception(gone)
        if not self._closing:
            self._lost(gone.message)
            self._give_back()
