"""Times, numbers and foreign names in the sentences of troubles."""

from __future__ import annotations

from datetime import datetime, timedelta

_UNITS = (("day", 86400), ("h", 3600), ("min", 60), ("s", 1))


def duration(span: timedelta) -> str:
    """In its two largest units: "3 h 12 min"; of days, in days alone from two on."""
    seconds = max(0, round(span.total_seconds()))
    if seconds >= 2 * 86400:
        return f"{seconds // 86400} days"
    parts: list[str] = []
    for unit, size in _UNITS:
        count, seconds = divmod(seconds, size)
        if count or parts:
            parts.append(f"{count} {unit}")
    shown = [part for part in parts[:2] if not part.startswith("0 ")]
    return " ".join(shown) or "0 s"


def moment(at: datetime) -> str:
    """To the minute, in the zone that it bears."""
    return f"{at:%Y-%m-%d %H:%M}"


def foreign(name: str) -> str:
    """What a peer called itself, as text that harms no line and no terminal."""
    return "".join(each if each.isprintable() else "?" for each in name)[:64] or "(no name)"


def line(text: str) -> str:
    """What was said elsewhere, on one line."""
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())


def sentence(text: str, limit: int = 300) -> str:
    """On one line, and not too long."""
    whole = line(text)
    return whole if len(whole) <= limit else f"{whole[: limit - 1]}…"
