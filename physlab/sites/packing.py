"""Small pieces of work travel in packs: the way to where they run costs more than they do."""

from __future__ import annotations

from collections.abc import Mapping

from physlab.model import Work

Method = tuple[str, str | None]


class Pace:
    """How long methods take, as far as is known.

    Args:
        assumed_ms: What a method takes of which nothing is known [ms].
        believed_ms: What took longer is believed at once, what took less soon [ms].
        known: What earlier runs tell [ms].
    """

    def __init__(self, assumed_ms: float, believed_ms: float, known: Mapping[Method, float] | None = None) -> None:
        self._assumed, self._believed = assumed_ms, believed_ms
        self._took_ms: dict[Method, float] = dict(known or {})

    def mean_ms(self, work: Work) -> float:
        """Return how long a piece of work will take, by its method [ms]."""
        return self._took_ms.get((work.tool, work.method), self._assumed)

    def learn(self, work: Work, ms: float) -> None:
        """Remember how long a method took: a long one is believed at once, a short one soon."""
        known = self._took_ms.get((work.tool, work.method))
        mean = ms if known is None else 0.8 * known + 0.2 * ms
        self._took_ms[work.tool, work.method] = max(mean, ms) if ms > self._believed else mean
