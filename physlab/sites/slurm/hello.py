"""The first line that a foreman reads."""

from __future__ import annotations

from pathlib import Path

from physlab.model import Model
from physlab.sites.slurm.policy import PATH


class Hello(Model):
    """The first line: what the foreman needs to know.

    Attributes:
        token: Names this lab's process among the jobs of the queue.
        folder: Folder of the pilots.
        certificate: PEM of the connection's certificate, which is its own authority.
        key: PEM of its key.
        python: Python on the nodes.
        prologue: Shell lines before a pilot begins.
        interface: Network interface that nodes reach this side by.
        idle_s: A pilot without work ends after so long [s].
        max_pilots: Pilots at once.
        comment: For the administrators.
        in_job: The foreman is a job itself.
        policy: The file of the administrators' policy: the usual one, but for tests.
    """

    token: str
    folder: Path
    certificate: str
    key: str
    python: str | None = None
    prologue: tuple[str, ...] = ()
    interface: str | None = None
    idle_s: float = 30.0
    max_pilots: int = 8
    comment: str = ""
    in_job: bool = False
    policy: Path = PATH
