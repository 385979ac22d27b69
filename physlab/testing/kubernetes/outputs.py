"""What a container printed, line by line with its time, and who follows it."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field
from datetime import UTC, datetime

LONGEST_LINE = 16 * 1024  # a longer one is delivered in parts, as container runtimes do


@dataclass
class Output:
    """The output of one run of a container.

    Attributes:
        lines: Each with its time [s since 1970] and its bytes.
        over: Whether nothing more comes.
        pulse: Set with the next line; then there is a new one.
        cut: Raised by one to break every stream that follows.
    """

    lines: list[tuple[float, bytes]] = field(default_factory=list)
    over: bool = False
    pulse: asyncio.Event = field(default_factory=asyncio.Event)
    cut: int = 0

    def add(self, line: bytes) -> None:
        """Add a line, and wake who follows."""
        self.lines.append((datetime.now(UTC).timestamp(), line))
        self._beat()

    def close(self) -> None:
        """Tell that nothing more comes."""
        self.over = True
        self._beat()

    def cut_followers(self) -> None:
        """Break every stream that follows, in the middle of a line if there is one."""
        self.cut += 1
        self._beat()

    def _beat(self) -> None:
        self.pulse.set()
        self.pulse = asyncio.Event()


class Reader(asyncio.Protocol):
    """Takes one pipe's bytes apart into lines; standard output and error are two pipes, whose order is not kept.

    Args:
        output: Where the lines go.
    """

    def __init__(self, output: Output) -> None:
        self._output, self._left = output, b""
        self.ended = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        """Take what came."""
        *lines, left = (self._left + data).split(b"\n")
        for line in lines:
            self._output.add(line + b"\n")
        while len(left) >= LONGEST_LINE:
            self._output.add(left[:LONGEST_LINE])
            left = left[LONGEST_LINE:]
        self._left = left

    def connection_lost(self, exc: Exception | None) -> None:
        """Give out the last line, though it has no end."""
        if self._left:
            self._output.add(self._left)
            self._left = b""
        if not self.ended.done():
            self.ended.set_result(None)


async def pipe(output: Output) -> tuple[int, Reader, asyncio.ReadTransport]:
    """Return the end of a pipe to write into, and who reads the other."""
    reading, writing = os.pipe()
    loop = asyncio.get_running_loop()
    transport, reader = await loop.connect_read_pipe(lambda: Reader(output), os.fdopen(reading, "rb", buffering=0))
    return writing, reader, transport


def stamped(moment: float) -> bytes:
    """Return a time as logs have it, with nine digits of a second."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f000Z ").encode()
