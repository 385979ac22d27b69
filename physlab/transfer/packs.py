"""Chunks on their way into a store, some megabytes in one file: a bucket charges and waits for each."""

from __future__ import annotations

from collections.abc import Callable

from physlab.keys import digest_bytes
from physlab.sealing import ProjectKey
from physlab.transfer.codec import encode
from physlab.transfer.layout import Chunk

PACK_BYTES = 8 << 20


class Packer:
    """Collects chunks into packs.

    Args:
        key: Seals them; None for not.
        send: Takes a whole pack: digits, bytes as they are to lie there, and its chunks.
        size: A pack is sent once it has so many bytes.
    """

    def __init__(
        self, key: ProjectKey | None, send: Callable[[str, bytes, list[Chunk]], None], size: int = PACK_BYTES
    ) -> None:
        self._key, self._send, self._size = key, send, size
        self._buffer = bytearray()
        self._waiting: dict[str, tuple[int, int, int, str]] = {}
        self.sent: dict[str, Chunk] = {}

    def add(self, digest: str, data: bytes, codec: str) -> None:
        """Take a chunk, unless it was taken already."""
        if digest in self._waiting or digest in self.sent:
            return
        packed, codec = encode(data, codec)
        self._waiting[digest] = (len(data), len(self._buffer), len(packed), codec)
        self._buffer += packed
        if len(self._buffer) >= self._size:
            self.flush()

    def flush(self) -> None:
        """Send what was collected."""
        if not self._waiting:
            return
        data = bytes(self._buffer) if self._key is None else self._key.seal(bytes(self._buffer))
        pack = digest_bytes(data)
        chunks = [
            Chunk(digest, size, pack, offset, length, codec)
            for digest, (size, offset, length, codec) in self._waiting.items()
        ]
        self.sent.update((chunk.digest, chunk) for chunk in chunks)
        self._buffer, self._waiting = bytearray(), {}
        self._send(pack, data, chunks)
