"""Keys that somebody vouches for: whose they are, and from when to when what they sign holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from physlab.signing.minisign import PublicKey


@dataclass(frozen=True)
class KnownKey:
    """A public key with its owner and its time.

    Attributes:
        name: Whose it is.
        public: The key.
        since: What was signed before does not hold; None for no such time.
        until: It was rotated then: what was signed later does not hold; what was signed before does.
        revoked: It was lost or stolen then: as `until`, but the time is not taken from the signer alone.
        reason: Why it was revoked.
    """

    name: str
    public: PublicKey
    since: str | None = None
    until: str | None = None
    revoked: str | None = None
    reason: str = ""

    def refusal(self, at: str, follows: Sequence[str] = ()) -> str:
        """Say why a signature of it does not hold, '' when it does.

        Args:
            at: When it was signed, as the signer says.
            follows: When the records were written that the signature names as those before it: it cannot be older.
                Who stole a key may write any time into a signature, but not into the records of others.
        """
        signed = _moment(at)
        if self.since is not None and signed < _moment(self.since):
            return f"key {self.public.id} of {self.name} is valid from {self.since} on, and this was signed at {at}"
        if self.until is not None and signed > _moment(self.until):
            return f"key {self.public.id} of {self.name} was replaced at {self.until}, and this was signed at {at}"
        latest = max([signed, *map(_moment, follows)])
        if self.revoked is not None and latest >= _moment(self.revoked):
            shown = at if latest == signed else f"{at}, after a record of {latest.isoformat()}"
            return f"key {self.public.id} of {self.name} was revoked at {self.revoked}, and this was signed at {shown}"
        return ""

    def is_valid(self, at: str) -> bool:
        """Say whether it may sign at a time."""
        return not self.refusal(at)


class Known:
    """Keys that are vouched for, by their ids.

    Args:
        keys: The keys.
    """

    def __init__(self, keys: Iterable[KnownKey] = ()) -> None:
        self._keys = {key.public.id: key for key in keys}
        self._names = {key.name for key in self._keys.values()}

    def __contains__(self, key_id: object) -> bool:
        return key_id in self._keys

    def __iter__(self) -> Iterator[KnownKey]:
        return iter(self._keys.values())

    def refusal(self, key: PublicKey, signer: str, at: str, follows: Sequence[str] = ()) -> str:
        """Say why a signature does not hold, '' when it does, or when nobody vouches for this signer at all."""
        known = self._keys.get(key.id)
        if known is None:
            told = f"key {key.id} is not one of the keys that {signer} is known to have"
            return told if signer in self._names else ""
        if known.public != key:
            return f"key {key.id} is not the one of {known.name}, though it is called the same"
        if known.name != signer:
            return f"key {key.id} is that of {known.name}, not of {signer}"
        return known.refusal(at, follows)


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo is not None else moment.astimezone()
