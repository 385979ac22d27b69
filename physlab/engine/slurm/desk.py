"""Where flow runs of one scheduling round wait for each other: those that ask for the same become one array."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from physlab.engine.slurm.cluster import ROUNDS, Cluster
from physlab.engine.slurm.marks import Mark
from physlab.errors import PhyslabError, ValidationError
from physlab.model.job import JobRequest
from physlab.sites.slurm.script import directives

PAUSE_S, PATIENCE_S = 10.0, 30.0  # nobody waits longer for the next of his round, and for all of them
MOST = 500  # elements of an array, at most


@dataclass(eq=False)
class Order:
    """A flow run that is to become a job.

    Attributes:
        cluster: Where.
        request: What is asked of it, without a name.
        mark: Whose it is.
        words: What the user says in the comment.
        folder: The job's own folder.
        files: Files in it, for the owner alone.
        job_id: The answer.
    """

    cluster: Cluster
    request: JobRequest
    mark: Mark
    words: str
    folder: Path
    files: dict[str, str]
    job_id: asyncio.Future[str] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def named(self, mark: Mark) -> JobRequest:
        """Return the request under a name."""
        return self.request.model_copy(update={"name": mark.name, "comment": mark.comment(self.words)})

    @property
    def shape(self) -> tuple[object, ...]:
        """What must be equal for two of them to be elements of one array."""
        return self.cluster, self.folder.parent, self.mark.pool, self.words, *directives(self.request)


class Desk:
    """Takes orders and submits them.

    Args:
        arriving: Says how many flow runs of the round have not been submitted yet, those that wait here included.
    """

    def __init__(self, arriving: Callable[[], int]) -> None:
        self._arriving = arriving
        self._waiting: list[Order] = []

    async def submit(self, order: Order) -> str:
        """Submit a flow run with the others of its round; return the id of its job, such as `12` or `12_3`.

        Raises:
            PhyslabError: It was refused, or the cluster does not answer.
        """
        self._waiting.append(order)
        if self._waiting[0] is order:  # who comes first waits for the others and serves all
            await self._serve()
        return await order.job_id

    async def _serve(self) -> None:
        begun = latest = time.monotonic()
        came = len(self._waiting)
        while self._arriving() > len(self._waiting) and (now := time.monotonic()) - begun < PATIENCE_S:
            if len(self._waiting) > came:
                came, latest = len(self._waiting), now
            if now - latest > PAUSE_S:
                break
            await asyncio.sleep(0.05)
        orders, self._waiting = self._waiting, []
        groups: dict[tuple[object, ...], list[Order]] = {}
        for order in orders:
            groups.setdefault(order.shape, []).append(order)
        for group in groups.values():
            most = min(MOST, await group[0].cluster.longest_array()) if len(group) > 1 else 1
            for part in _parts(group, most):
                await _submit(part)


def _parts(orders: Sequence[Order], most: int) -> Iterator[Sequence[Order]]:
    for start in range(0, len(orders), most):
        yield orders[start : start + most]


async def _submit(orders: Sequence[Order]) -> None:
    """Submit orders of one shape and answer each; an array that is refused as a whole is tried job by job."""
    try:
        ids = await _submit_together(orders)
    except ValidationError as error:
        if len(orders) == 1:
            orders[0].job_id.set_exception(error)
        for order in orders if len(orders) > 1 else ():
            await _submit([order])
    except PhyslabError as error:
        for order in orders:
            order.job_id.set_exception(error)
    else:
        for order, job_id in zip(orders, ids, strict=True):
            order.job_id.set_result(job_id)


async def _submit_together(orders: Sequence[Order]) -> list[str]:
    cluster, base = orders[0].cluster, orders[0].folder.parent
    files = {order.folder / name: text for order in orders for name, text in order.files.items()}
    mark = orders[0].mark
    if len(orders) > 1:  # which element is whose stands in a file: a comment is too short for it
        mark = Mark("round", uuid4(), mark.pool)
        files[base / ROUNDS / str(mark.id)] = "".join(f"{order.mark.id}\n" for order in orders)
    return await cluster.submit([order.named(mark) for order in orders], [order.folder for order in orders], files)
