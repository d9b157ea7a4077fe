"""Times of DICOM as seconds, to compare them with each other."""

from __future__ import annotations

import re
from datetime import UTC, datetime

_TIME = re.compile(
    r"(?P<day>\d{8})?(?P<h>\d{2})(?P<m>\d{2})(?P<s>\d{2})?(?P<f>\.\d{1,6})?([+-]\d{4})?"
)


def seconds_of(value: str) -> float | None:
    """Of a time (TM) since midnight, of a date with a time (DT) since 1970; offsets are not
    applied (PS3.5 section 6.2). None for what is neither.
    """
    found = _TIME.fullmatch(value.strip())
    if found is None:
        return None
    hours, minutes, seconds = (int(found[part] or 0) for part in ("h", "m", "s"))
    of_day = 3600.0 * hours + 60 * minutes + seconds + float(found["f"] or 0)
    if found["day"] is None:
        return of_day
    try:
        day = datetime.strptime(found["day"], "%Y%m%d").replace(tzinfo=UTC)
    except ValueError:
        return None
    return day.timestamp() + of_day
