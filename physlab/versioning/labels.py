"""What may not leave the lab, and what may not be deleted: private data, embargoes, legal holds."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime

from physlab.errors import ValidationError
from physlab.store import Store
from physlab.versioning.contents import files_of
from physlab.versioning.history import of_bytes


@dataclass(frozen=True)
class Label:
    """A label of bytes.

    Attributes:
        kind: private, embargo, hold (may not be deleted) or open (no label any more).
        until: The day, in UTC, on which it ends; None: never.
    """

    kind: str
    until: date | None = None

    def binds(self, today: date) -> bool:
        """Say whether it holds on a day."""
        return self.kind != "open" and (self.until is None or today < self.until)

    def __str__(self) -> str:
        return f"{self.kind}:{self.until}" if self.until else self.kind


def read_label(text: str, today: date | None = None) -> Label:
    """Return the label that a text spells: `private`, `embargo:2027-01-31`, `hold`, `hold:2030-01-01`, `open`.

    A day that is over is refused: such a label binds nobody, and would end the one before it without a word.

    Args:
        text: The label.
        today: The day in UTC; None: that of the clock.

    Raises:
        ValidationError: It is none, or its day is over.
    """
    kind, _, day = text.strip().partition(":")
    try:
        until = date.fromisoformat(day) if day else None
    except ValueError as error:
        raise ValidationError(f"'{day}' is no day.", hint="Write it as 2027-01-31.") from error
    if kind not in ("private", "embargo", "hold", "open"):
        raise ValidationError(f"'{text}' is no label.", hint="Known: private, embargo:2027-01-31, hold, open.")
    if (kind == "embargo") != (until is not None) and kind != "hold":
        hint = "Say until when: embargo:2027-01-31." if kind == "embargo" else f"Write: {kind}."
        raise ValidationError(f"'{text}' is no label.", hint=hint)
    day_now = today or datetime.now(UTC).date()
    if until is not None and until <= day_now:
        raise ValidationError(
            f"'{text}' ended before it began: today is {day_now} (UTC).",
            hint="Give a day to come; to end what binds these bytes, say so: physlab version label FILE open.",
        )
    return Label(kind, until)


def label(store: Store, digests: Iterable[str], wanted: Label, by: str, why: str = "") -> None:
    """Give bytes a label; the ledger keeps every change. Holds and the others stand beside each other."""
    record = {
        "kind": "label", "digests": sorted(set(digests)), "label": wanted.kind,
        "until": str(wanted.until) if wanted.until else None, "at": datetime.now(UTC).isoformat(), "by": by, "why": why,
    }  # fmt: skip
    store.append("label", record)
    store.flush()


@dataclass(frozen=True)
class Given:
    """A label as it was given to some bytes.

    Attributes:
        label: Which.
        why: The reason that was told; '' for none.
    """

    label: Label
    why: str = ""


def labels(store: Store) -> dict[str, list[Label]]:
    """Return the labels that bytes have: those of folders stand for their files too."""
    return _with_files(store, {digest: [one.label for one in kept] for digest, kept in given_labels(store).items()})


def given_labels(store: Store) -> dict[str, list[Given]]:
    """Return the labels that stand, by the bytes that they were given to: a folder once, without its files."""
    store.refresh()
    found: dict[str, dict[bool, Given]] = {}
    for record in store.records_of("label"):
        until = date.fromisoformat(record["until"]) if record["until"] else None
        one = Given(Label(record["label"], until), record.get("why", ""))
        for digest in record["digests"]:
            mine = found.setdefault(digest, {})
            for is_hold in (True, False) if one.label.kind == "open" else (one.label.kind == "hold",):
                mine[is_hold] = one
    standing = {digest: [one for one in mine.values() if one.label.kind != "open"] for digest, mine in found.items()}
    return {digest: kept for digest, kept in standing.items() if kept}


def _with_files(store: Store, found: dict[str, list[Label]]) -> dict[str, list[Label]]:
    spread: dict[str, list[Label]] = {digest: list(kept) for digest, kept in found.items()}
    for digest, kept in found.items():
        for known in of_bytes(store, digest)[:1]:
            if known.version.content.kind == "folder":
                for sha256, _, _ in files_of(store, known.version.content).values():
                    spread.setdefault(sha256, []).extend(kept)
    return spread


def may_leave(store: Store, today: date | None = None) -> Callable[[str], str | None]:
    """Return what tells why some bytes may not leave the lab: a function of their SHA-256, None where they may."""
    day = today or datetime.now(UTC).date()
    bound = {
        digest: [one for one in kept if one.kind in ("private", "embargo") and one.binds(day)]
        for digest, kept in labels(store).items()
    }

    def reason(digest: str) -> str | None:
        for one in bound.get(digest.removeprefix("sha256:"), ()):
            return "it is private" if one.kind == "private" else f"it is under embargo until {one.until}"
        return None

    return reason


def held(store: Store, today: date | None = None) -> dict[str, Label]:
    """Return the bytes that may not be deleted, because somebody has put a hold on them."""
    day = today or datetime.now(UTC).date()
    return {
        digest: one for digest, kept in labels(store).items() for one in kept if one.kind == "hold" and one.binds(day)
    }
