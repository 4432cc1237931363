"""Sizes and ages as docker shows them."""

from datetime import UTC, datetime

_UNITS = ("B", "kB", "MB", "GB", "TB", "PB", "EB")
UNKNOWN = "N/A"
"""What is shown for a time that isn't stated."""


def size(count: int) -> str:
    """Give *count* bytes in the greatest decimal unit that leaves no fraction below one, with three digits."""
    number, unit = float(count), 0
    # What would be rounded to 1000 is one of the next unit.
    while number >= 999.5 and unit < len(_UNITS) - 1:
        number /= 1000
        unit += 1
    return f"{number:.3g}{_UNITS[unit]}" if number < 999.5 else f"{number:.0f}{_UNITS[unit]}"


def moment(created: str) -> datetime | None:
    """Give the moment of an RFC 3339 text, without what is finer than a microsecond; None for what is none."""
    try:
        found = datetime.fromisoformat(created)
    except ValueError:
        return None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found


def age(created: str, now: datetime) -> str:
    """Say how long before *now* the RFC 3339 time *created* is."""
    then = moment(created)
    if then is None:
        return UNKNOWN
    seconds = int((now - then).total_seconds())
    if seconds < 1:
        return "Less than a second ago"
    return f"{_duration(seconds)} ago"


def _duration(seconds: int) -> str:
    minutes, hours = seconds // 60, int(seconds / 3600 + 0.5)
    steps = (
        (seconds < 60, "1 second" if seconds == 1 else f"{seconds} seconds"),
        (minutes == 1, "About a minute"),
        (minutes < 60, f"{minutes} minutes"),
        (hours == 1, "About an hour"),
        (hours < 48, f"{hours} hours"),
        (hours < 24 * 7 * 2, f"{hours // 24} days"),
        (hours < 24 * 30 * 2, f"{hours // 24 // 7} weeks"),
        (hours < 24 * 365 * 2, f"{hours // 24 // 30} months"),
        (True, f"{hours // 24 // 365} years"),
    )
    return next(text for holds, text in steps if holds)


def instant(created: str) -> str:
    """Give an RFC 3339 time as docker's ``CreatedAt`` does, in UTC."""
    then = moment(created)
    return UNKNOWN if then is None else then.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S +0000 UTC")
