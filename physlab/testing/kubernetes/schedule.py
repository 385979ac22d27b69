"""When a CronJob is due."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_NICKNAMES = {
    "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *", "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@hourly": "0 * * * *",
}  # fmt: skip
_NAMES = {name: number for number, name in enumerate(("sun", "mon", "tue", "wed", "thu", "fri", "sat"))} | {
    name: number
    for number, name in enumerate(
        ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), start=1
    )
}
LONGEST = timedelta(days=5 * 366)
_RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))


class Schedule:
    """The five fields of a schedule, in a time zone (UTC if none is named).

    Raises:
        ValueError: It cannot be read.
    """

    def __init__(self, text: str, zone: str | None = None) -> None:
        fields = _NICKNAMES.get(text.strip(), text).split()
        if len(fields) != 5:
            raise ValueError(f"expected exactly 5 fields, found {len(fields)}: [{text}]")
        self._sets = [_values(field, *limits) for field, limits in zip(fields, _RANGES, strict=True)]
        self._any_day, self._any_weekday = fields[2].startswith("*"), fields[4].startswith("*")
        try:
            self._zone = ZoneInfo(zone) if zone else UTC
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError(f"unknown time zone {zone}") from error

    def next(self, after: datetime) -> datetime | None:
        """Return the first minute of the schedule after a moment; None if there is none within five years."""
        minutes, hours, days, months, weekdays = self._sets
        local = after.astimezone(self._zone).replace(second=0, microsecond=0)
        last = local + LONGEST
        local = _later(local, timedelta(minutes=1))
        while local < last:
            if local.month not in months or not self._right_day(local, days, weekdays):
                local = _later(local.replace(hour=0, minute=0), timedelta(days=1)).replace(hour=0, minute=0)
            elif local.hour not in hours:
                local = _later(local.replace(minute=0), timedelta(hours=1)).replace(minute=0)
            elif local.minute not in minutes:
                local = _later(local, timedelta(minutes=1))
            else:
                return local.astimezone(UTC)
        return None

    def _right_day(self, local: datetime, days: frozenset[int], weekdays: frozenset[int]) -> bool:
        on_day, on_weekday = local.day in days, local.isoweekday() % 7 in weekdays
        return (on_day and on_weekday) if self._any_day or self._any_weekday else (on_day or on_weekday)


def _later(local: datetime, step: timedelta) -> datetime:
    """Return a moment some real time later, in the same zone; a day in summer time's week may have 25 hours."""
    return (local.astimezone(UTC) + step).astimezone(local.tzinfo)


def _values(field: str, low: int, high: int) -> frozenset[int]:
    found: set[int] = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        if span in ("*", "?"):
            first, last = low, high
        else:
            begin, _, end = span.partition("-")
            first = _number(begin)
            last = _number(end) if end else (high if step else first)
        if not step.isdigit() and step:
            raise ValueError(f"failed to parse number: {step}")
        if last == 7 and high == 6:  # both ends of the week are Sunday
            found.add(0)
            last = 6
            first = min(first, 7)
            if first == 7:
                continue
        if not low <= first <= last <= high or step == "0":
            raise ValueError(f"value out of range ({low} - {high}): {part}")
        found.update(range(first, last + 1, int(step or 1)))
    return frozenset(found)


def _number(text: str) -> int:
    if text.lower() in _NAMES:
        return _NAMES[text.lower()]
    if not text.isdigit():
        raise ValueError(f"failed to parse int from {text}")
    return int(text)
