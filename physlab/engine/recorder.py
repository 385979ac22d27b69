"""Carries the records of a run to the Prefect server in batches, and knows in the end what arrived.

A thread takes what the nodes put in and sends it on. Two ways: the server's events endpoint, paced, works everywhere
and feeds automations; for big runs beside a local server a child process writes straight into the server's database,
at a fraction of the cost, unseen by feeds and automations. When the second fails the first takes over where it
stopped. When the server is gone nothing here stops the run.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import select
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Sequence
from contextvars import copy_context
from datetime import datetime
from pathlib import Path
from typing import IO, Any, cast
from uuid import UUID

import httpx
import orjson
from prefect.client.base import ServerType
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from physlab.engine.pacing import Pacer
from physlab.engine.taskevents import FINAL, Record, Scribe
from physlab.errors import ResourceError

BATCH = 200
FLUSH_S = 0.2
LARGEST = 1000
WAITING = 6000
_log = logging.getLogger("physlab.engine")


class Api:
    """The two questions we ask of the Prefect server: answered quickly or not at all.

    Prefect's own client would try for minutes when the server is gone.

    Args:
        timeout_s: For each question [s].
        since: Only what ended from then on counts as recorded; for a flow run that is tried again, whose task runs
            the server still shows as they ended the time before.
    """

    def __init__(self, timeout_s: float = 20.0, since: datetime | None = None) -> None:
        self._ended = {"end_time": {"after_": since.isoformat()}} if since else {}
        with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}):
            self._context = copy_context()
            self._client = get_client({"timeout": timeout_s}, sync_client=True)
        self.ephemeral = self._client.server_type is ServerType.EPHEMERAL

    def send(self, events: Iterable[bytes]) -> None:
        """Hand over events.

        Raises:
            httpx.HTTPError: The server did not take them.
        """
        self._post("/events", content=b"[" + b",".join(events) + b"]", headers={"content-type": "application/json"})

    def recorded(self, ids: Sequence[UUID]) -> int:
        """Say how many of these task runs the server shows in a final state.

        Raises:
            httpx.HTTPError: The server did not answer.
        """
        chosen = {
            "id": {"any_": [str(one) for one in ids]},
            "state": {"type": {"any_": FINAL}},
            **self._ended,
        }
        return int(self._post("/task_runs/count", json={"task_runs": chosen}).json())

    def answers(self) -> bool:
        """Say whether the server is there: a refused connection says no, a busy server still counts as there."""
        for pause in (0.0, 0.5, 1.0):
            time.sleep(pause)
            try:
                self._context.copy().run(self._client.request, "GET", "/health")
                return True
            except (httpx.ReadTimeout, httpx.HTTPStatusError):
                return True
            except httpx.HTTPError:
                continue
        return False

    def close(self) -> None:
        """Close the connections."""
        self._client._client.close()

    def _post(self, path: Any, **content: Any) -> httpx.Response:
        return self._context.copy().run(self._client.request, "POST", path, **content)


class Child:
    """The process that writes into the server's database.

    Args:
        database_url: The server's database, as SQLAlchemy spells it.
        flow_run_id: The flow run; that the database knows it proves that it is the server's.
    """

    def __init__(self, database_url: str, flow_run_id: UUID) -> None:
        program = Path(__file__).with_name("recorder_child.py")
        self._said = tempfile.TemporaryFile()  # noqa: SIM115  open as long as the child
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(program)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
        )
        self._to, self._from = cast(IO[bytes], self._process.stdin), cast(IO[bytes], self._process.stdout)
        self.pid = self._process.pid
        self._ready = False
        with contextlib.suppress(BrokenPipeError):
            self._send(orjson.dumps({"database_url": database_url, "flow_run_id": str(flow_run_id)}))

    def wait_ready(self, seconds: float = 60.0) -> None:
        """Wait until the child has found the flow run in its database.

        Raises:
            ResourceError: It has not.
        """
        if self._ready:
            return
        if not self._answer(seconds).get("ready"):
            self.close()
            raise ResourceError(
                "The database that was named does not know this flow run, so it is not the Prefect server's.",
                hint="Name the database of the server behind PREFECT_API_URL, or leave it out.",
            )
        self._ready = True

    def write(self, records: Sequence[Record], seconds: float = 180.0) -> None:
        """Write records; return when they are committed.

        Raises:
            ResourceError: The child is gone or does not answer.
        """
        try:
            self._send(b"[" + b",".join(record.row() for record in records) + b"]")
        except BrokenPipeError:
            raise self._lost() from None
        self._answer(seconds)

    def close(self, seconds: float = 10.0) -> None:
        """End the child and wait for it."""
        with contextlib.suppress(BrokenPipeError):
            self._to.close()
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._from.close()
        self._said.close()

    def _send(self, line: bytes) -> None:
        self._to.write(line + b"\n")
        self._to.flush()

    def _answer(self, seconds: float) -> dict[str, Any]:
        if not select.select([self._from], [], [], seconds)[0]:
            self._process.kill()
        line = self._from.readline()
        if not line:
            raise self._lost()
        return dict(orjson.loads(line))

    def _lost(self) -> ResourceError:
        code = self._process.wait()
        self._said.seek(0)
        said = self._said.read()[-1500:].decode(errors="replace").strip().splitlines()
        self.close()
        return ResourceError(
            f"The process that records task runs ended with code {code}: {said[-1] if said else 'no message'}",
            hint="The run goes on; its task runs are sent to the server as events.",
        )


class Recorder:
    """Takes records from many threads and sees them to the server.

    Args:
        api: The server.
        child: Writes into the server's database; None to send events.
        pacer: Keeps us from outrunning the server.
        scribe: Writes the events.
    """

    def __init__(self, api: Api, child: Child | None, pacer: Pacer, scribe: Scribe) -> None:
        self.way = "database" if child else "events"
        self.problem = ""
        self._last_tries = 3
        self._api, self._child, self._pacer, self._scribe = api, child, pacer, scribe
        self._queue: queue.Queue[Record | None] = queue.Queue(WAITING)
        self._down = False
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._carry, name="physlab-recorder", daemon=True)
        self._thread.start()

    def put(self, record: Record) -> None:
        """Take a record; wait while too many are waiting, unless the server is gone."""
        while self._thread.is_alive():
            try:
                return self._queue.put(record, block=not self._down, timeout=1.0)
            except queue.Full:
                if self._down:
                    return None
        return None

    def close(self, seconds: float) -> bool:
        """Send what is waiting, for no longer than `seconds`, and end; say whether all was dealt with."""
        deadline = time.monotonic() + seconds
        self._closing.set()
        with contextlib.suppress(queue.Full):
            self._queue.put(None, timeout=seconds)
        self._thread.join(max(0.0, deadline - time.monotonic()))
        if self._child:
            self._child.close()
        return not self._thread.is_alive()

    def _carry(self) -> None:
        while batch := self._take():
            records = [record for record in batch if record is not None]
            self._deliver(records)
            if len(records) < len(batch):
                return

    def _take(self) -> list[Record | None]:
        batch = [self._queue.get()]
        if batch[0] is not None and self._queue.qsize() < BATCH:
            self._closing.wait(FLUSH_S)
        with contextlib.suppress(queue.Empty):
            while batch[-1] is not None and len(batch) < LARGEST:
                batch.append(self._queue.get_nowait())
        return batch

    def _deliver(self, records: list[Record]) -> None:
        if not records:
            return
        if self._child:
            try:
                self._child.wait_ready()
                self._child.write(records)
                return self._note_sent(records)
            except ResourceError as lost:
                self._child, self.way, self.problem = None, "events", lost.message
                _log.warning("%s", lost)
        for start in range(0, len(records), BATCH):
            part = records[start : start + BATCH]
            if self._post(part):
                self._note_sent(part)

    def _note_sent(self, records: Sequence[Record]) -> None:
        for kind in ("node", "shown"):
            self._pacer.sent([record.id for record in records if record.final and record.kind == kind], kind)

    def _post(self, records: Sequence[Record]) -> bool:
        """Send events; while the server is gone keep trying, until the run ends."""
        pause = 0.2
        while self._last_tries:
            try:
                self._pacer.hold()
                self._api.send(map(self._scribe.event, records))
                self._down = False
                return True
            except httpx.HTTPStatusError as refused:
                self.problem = f"The Prefect server refused task runs: {refused.response.text[:300]}"
                if refused.response.status_code < 500:
                    return False
            except httpx.HTTPError as gone:
                self.problem = f"The Prefect server did not answer: {gone!r}"
            except RuntimeError:  # the run gave up waiting for us and closed the connection
                return False
            self._down = True
            if self._closing.wait(pause):
                self._last_tries -= 1
            pause = min(2 * pause, 5.0)
        return False
