"""Times, sizes and names as the page shows them; no UID as a whole."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from math import isinf

from dicomnode.decisions.operating.wording import duration

NONE = "–"

_UID = re.compile(r"\d+(?:\.\d+){4,}[^\s:,;()]*")
"""More parts than an IPv4 address or a version has."""
_SHOWN = 8


def without_uids(text: str, sign: str = "…") -> str:
    """Of each UID its ending, by which the command line finds it, behind `sign`: a UID leads to a
    patient."""
    return _UID.sub(lambda found: sign + found[0].rstrip(".")[-_SHOWN:].lstrip("."), text)


def ago(at: datetime | None, now: datetime) -> str:
    return NONE if at is None else f"{_rough(now - at)} ago"


def span(since: datetime | None, now: datetime) -> str:
    return NONE if since is None else _rough(now - since)


def _rough(lasted: timedelta) -> str:
    """From a minute on without seconds."""
    return re.sub(r" min \d+ s$", " min", duration(lasted))


def clock(at: datetime, now: datetime) -> str:
    """In the zone of `now`; with its date where that is another, of another year without time."""
    here = at.astimezone(now.tzinfo)
    if here.date() == now.date():
        return f"{here:%H:%M}"
    return f"{here:%b %d, %H:%M}" if here.year == now.year else f"{here:%Y-%m-%d}"


def within(seconds: float) -> str:
    return "longer" if isinf(seconds) else duration(timedelta(seconds=seconds))


def size(count: float) -> str:
    """Of bytes, in binary units."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB" if count < 10 else f"{count:.0f} TiB"


def label(name: str) -> str:
    """What a peer called itself, on one line."""
    return "".join(each if each.isprintable() else "?" for each in name)[:32] or "(no name)"
