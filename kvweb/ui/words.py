"""Amounts and times as people say them."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.utils import timezone

UNKNOWN = "–"


def size_words(mib: float | None) -> str:
    """MiB as "512 MiB", "4 GiB", "1.5 TiB"; a dash when it is not known."""
    if not mib:
        return UNKNOWN
    if mib < 1:
        return "< 1 MiB"
    if mib < 1024:
        return f"{round(mib, 1):g} MiB"
    value, unit = (mib / 1024, "GiB") if mib < 1024 * 1024 else (mib / 1024 / 1024, "TiB")
    return f"{value:.1f}".removesuffix(".0") + f" {unit}"


def bytes_words(count: float | None) -> str:
    """Bytes as "12 bytes", "3.5 KiB", "62 MiB"."""
    if count is None:
        return UNKNOWN
    if count < 1024:
        return number_words(int(count), "byte")
    return size_words(count / 2**20) if count >= 2**20 else f"{round(count / 1024, 1):g} KiB"


#: Seconds of each unit, largest first; the script that keeps times true has the same table.
_UNITS = (("year", 31_536_000), ("month", 2_592_000), ("day", 86_400), ("hour", 3_600), ("minute", 60))


def ago_words(moment: datetime, now: datetime | None = None) -> str:
    seconds = ((now or timezone.now()) - moment).total_seconds()
    if seconds < 45:
        return "just now"
    for unit, length in _UNITS:
        count = round(seconds / length)
        if seconds >= length * 0.95 and count:
            return f"{count} {unit}{'' if count == 1 else 's'} ago"
    return "1 minute ago"


def duration_words(value: object) -> str:
    if not isinstance(value, timedelta):
        return UNKNOWN
    seconds = value.total_seconds()
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, seconds = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {seconds} s" if seconds else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"


def number_words(count: int, one: str, many: str = "") -> str:
    """ "1 machine", "3 machines"."""
    return f"{count:,} {one if count == 1 else many or one + 's'}".replace(",", " ")
