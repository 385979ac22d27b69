"""What starts pods: handed in from the room that knows Prefect."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from physlab.errors import ConfigurationError, PhyslabError
from physlab.sites.kubernetes.shapes import Shape


@dataclass(frozen=True)
class PodOrder:
    """A pod that is wanted.

    Attributes:
        token: Name of this attempt.
        name: What people call it.
        digest: Digest of the order, which lies in the store.
        shape: What the pod is asked for.
        above: Where its first node is shown, as `Launcher.here` said.
        saves: Whether a program in it saves where it is, so that its last words are worth waiting for.
        answered: Says whether its reply is in the store; asked when Prefect is silent.
    """

    token: str
    name: str
    digest: str
    shape: Shape
    above: Any = None
    saves: bool = False
    answered: Callable[[], bool] = field(default=lambda: False, compare=False)


Ended = Callable[[PhyslabError], None]
"""Told when a pod is over, with the error that it is unless its reply is there."""


class Launcher(Protocol):
    """Starts pods and watches them. All but `close` is called from several threads."""

    def here(self) -> Any:
        """Return where the present thread's node is shown, so that its pod can be shown below it."""

    def start(self, order: PodOrder, ended: Ended) -> None:
        """Start a pod; `ended` is called once, from a thread of the launcher.

        Raises:
            PhyslabError: It cannot be started.
        """

    def stop(self, token: str) -> None:
        """Stop a pod; its end is not told."""

    def close(self) -> None:
        """Stop all pods."""


def no_server(name: str) -> ConfigurationError:
    """Return the error of a run that is to use pods and has no Prefect server."""
    return ConfigurationError(
        f"Pods of the site '{name}' are started through a Prefect server, and this run has none.",
        hint="Leave out --no-server, or choose another site: --site local.",
    )
