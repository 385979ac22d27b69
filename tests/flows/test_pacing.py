"""The pacer, against a server that is played by a set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from uuid import UUID, uuid4

from physlab.engine.pacing import Pacer


class Server:
    """Records some of what was sent each time the pacer sleeps."""

    def __init__(self, per_sleep: int) -> None:
        self.sent: list[UUID] = []
        self.recorded: set[UUID] = set()
        self.lost: set[UUID] = set()
        self.per_sleep = per_sleep
        self.now = 0.0
        self.questions = 0

    def count(self, ids: Sequence[UUID]) -> int:
        self.questions += 1
        return len(self.recorded.intersection(ids))

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        gone = self.recorded | self.lost
        waiting = [one for one in self.sent if one not in gone]
        self.recorded.update(waiting[: self.per_sleep])

    def pacer(self, limit: int) -> tuple[Pacer, Callable[[int], list[UUID]]]:
        pacer = Pacer(self.count, limit=limit, patience_s=5.0, clock=lambda: self.now, sleep=self.sleep)

        def send(n: int) -> list[UUID]:
            pacer.hold()
            ids = [uuid4() for _ in range(n)]
            self.sent += ids
            pacer.sent(ids, "node")
            return ids

        return pacer, send


def test_below_the_limit_the_server_is_not_asked() -> None:
    server = Server(per_sleep=0)
    _, send = server.pacer(limit=100)
    for _ in range(10):
        send(10)
    assert server.questions == 0 and server.now == 0.0


def test_never_more_than_limit_and_one_batch_are_on_their_way() -> None:
    server = Server(per_sleep=40)
    pacer, send = server.pacer(limit=1000)
    for _ in range(100):
        send(100)
        assert len(server.sent) - len(server.recorded) <= 1100
    assert pacer.settle(1000.0) == {}
    assert len(server.recorded) == 10_000
    assert server.questions < 2 * server.now / 0.25 + 20


def test_what_the_server_lost_is_reported_and_stops_nothing() -> None:
    server = Server(per_sleep=500)
    pacer, send = server.pacer(limit=1000)
    server.lost.update(send(800)[:7])
    for _ in range(10):
        send(500)
    assert pacer.settle(100.0) == {"node": 7}
    assert pacer.total["node"] == 5800


def test_settling_ends_when_nothing_moves() -> None:
    server = Server(per_sleep=0)
    pacer, send = server.pacer(limit=1000)
    send(10)
    pacer.sent([uuid4()], "shown")
    assert pacer.settle(1e6) == {"node": 10, "shown": 1}
    assert server.now < 10


def test_settling_ends_at_its_deadline() -> None:
    server = Server(per_sleep=1)
    pacer, send = server.pacer(limit=1000)
    send(900)
    assert pacer.settle(20.0)["node"] > 800
    assert server.now < 22
