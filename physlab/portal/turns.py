"""Requests take turns on a few threads: one turn each, from who asks to the answer.

A framework's own way, a turn for every dependency and one for the answer, costs a request more in handing over than in
work; and a thread that waits for the disk of the audit log is one that does no work. Here the entries of a request are
waited for after its turn, and before its answer.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar, get_args

from fastapi import Request
from fastapi.params import Depends
from fastapi.routing import APIRoute

from physlab.portal.gate import SAFE, Asker, find_asker, find_guest, half_visit

QUICK, LONG = 2, 4
"""Requests that are worked on at once; the others wait, which costs less than more threads that wait for each other.
What may take long, a paper, a large file, a password, has threads of its own, so that nobody's list waits for it."""
PROOFS = (find_asker, find_guest, half_visit)
"""What says who asks; it runs in the same turn, before anything else of it."""
_T = TypeVar("_T")
_Endpoint = TypeVar("_Endpoint", bound=Callable[..., Any])


def takes_long(endpoint: _Endpoint) -> _Endpoint:
    """Mark an endpoint that reads and yet may take long."""
    endpoint.takes_long = True  # type: ignore[attr-defined]
    return endpoint


class Turns:
    """The threads that requests take turns on."""

    def __init__(self) -> None:
        self._quick = ThreadPoolExecutor(QUICK, thread_name_prefix="quick")
        self._long = ThreadPoolExecutor(LONG, thread_name_prefix="long")

    async def take(self, work: Callable[[list[Future[None]]], _T], *, long: bool) -> _T:
        """Do the work of a request; answer when what it noted is on disk.

        Args:
            work: Takes a list, to which it adds what is to be waited for.
            long: Whether it may take long.

        Raises:
            StoreError: What it noted could not be written.
        """
        unwritten: list[Future[None]] = []
        try:
            threads = self._long if long else self._quick
            return await asyncio.get_running_loop().run_in_executor(threads, work, unwritten)
        finally:
            for each in unwritten:
                await asyncio.wrap_future(each)

    def close(self) -> None:
        """Wait for the last ones."""
        self._quick.shutdown()
        self._long.shutdown()


class Turn(APIRoute):
    """A route that is answered in one turn."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **more: Any) -> None:
        super().__init__(path, endpoint if inspect.iscoroutinefunction(endpoint) else _in_one_turn(endpoint), **more)


def _in_one_turn(endpoint: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
    """Return an endpoint that is told who asks only in the turn that also answers."""
    told = inspect.signature(endpoint, eval_str=True)
    proofs = {name: proof for name, each in told.parameters.items() if (proof := _proof(each.annotation)) is not None}

    slow = getattr(endpoint, "takes_long", False)
    own = next((name for name, each in told.parameters.items() if each.annotation is Request), None)

    async def answer(**given: Any) -> Any:
        request: Request = given.pop("the_request") if own is None else given[own]

        def work(unwritten: list[Future[None]]) -> Any:
            shown = {name: proof(request) for name, proof in proofs.items()}
            for name, each in shown.items():
                if isinstance(each, Asker):
                    shown[name] = each.noting(unwritten)
            return endpoint(**given, **shown)

        return await request.app.state.turns.take(work, long=slow or request.method not in SAFE)

    named = inspect.Parameter.KEYWORD_ONLY
    taken = [each.replace(kind=named) for each in told.parameters.values() if each.name not in proofs]
    if own is None:  # the framework hands a request over once
        taken.append(inspect.Parameter("the_request", named, annotation=Request))
    shape = told.replace(parameters=taken)
    answer.__name__, answer.__doc__ = endpoint.__name__, endpoint.__doc__
    answer.__signature__ = shape  # type: ignore[attr-defined]
    return answer


def _proof(annotation: Any) -> Callable[[Request], Any] | None:
    for mark in get_args(annotation)[1:]:
        if isinstance(mark, Depends) and mark.dependency in PROOFS:
            return mark.dependency
    return None


__all__ = ["Turn", "Turns", "takes_long"]
