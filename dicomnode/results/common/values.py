"""Is a value what its VR allows (PS3.5 section 6.2)? If not, what can be saved of it?

Each rule takes text and gives the value to write (empty: dropped) and what was wrong, in words
that never quote the value: it may be a patient's name.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime

Checked = tuple[str, str]  # the value to write, and what was wrong ("" where nothing was)
Rule = Callable[[str], Checked]

_TM = re.compile(r"([01]\d|2[0-3])(?:([0-5]\d)(?:([0-5]\d|60)(\.\d{1,6})?)?)?$")
_TM_ACR_NEMA = re.compile(r"(\d\d):(\d\d)(?::(\d\d)(\.\d{1,6})?)?$")
_AS = re.compile(r"\d{3}[DWMY]$")
_UI = re.compile(r"(0|[1-9]\d*)(\.(0|[1-9]\d*))+$")
_OFFSET = re.compile(r"(?:\+(?:0\d|1[0-3])[0-5]\d|\+1400|-(?:0\d|1[01])[0-5]\d|-1200)$")


def date(text: str) -> Checked:
    """VR DA. The ACR-NEMA form yyyy.mm.dd (PS3.5 section 6.2, note) is rewritten."""
    plain = re.sub(r"^(\d{4})[.-](\d\d)[.-](\d\d)$", r"\1\2\3", text)
    if not re.fullmatch(r"\d{8}", plain) or not _is_day(plain):
        return "", "no date: dropped"
    return plain, "" if plain == text else "written with separators: rewritten"


def _is_day(text: str) -> bool:
    try:
        datetime.strptime(text, "%Y%m%d")  # noqa: DTZ007 - only asked whether it is a day
    except ValueError:
        return False
    return True


def time(text: str) -> Checked:
    """VR TM. The ACR-NEMA form hh:mm:ss.frac (PS3.5 section 6.2, note) is rewritten."""
    old = _TM_ACR_NEMA.match(text)
    plain = "".join(part or "" for part in old.groups()) if old else text
    if not _TM.match(plain):
        return "", "no time: dropped"
    return plain, "written with separators: rewritten" if old else ""


def age(text: str) -> Checked:
    """VR AS."""
    return (text, "") if _AS.match(text) else ("", "no age: dropped")


def time_zone(text: str) -> Checked:
    """Timezone Offset From UTC (0008,0201), PS3.3 Table C.12-1: &ZZXX, from
    -1200 to +1400, never -0000."""
    if not _OFFSET.match(text) or text == "-0000":
        return "", "no offset from UTC: dropped"
    return text, ""


def uid(text: str) -> Checked:
    """VR UI. A bad UID is kept where it has only digits and dots: it still names the thing."""
    if _UI.match(text) and len(text) <= 64:
        return text, ""
    if re.fullmatch(r"[\d.]{1,64}", text):
        return text, "no valid UID: kept, since other objects bear it too"
    return "", "no UID: dropped"


def one_of(*terms: str) -> Rule:
    """VR CS with enumerated values; lower case is raised."""

    def rule(text: str) -> Checked:
        if text.upper() not in terms:
            return "", "none of the enumerated values: dropped"
        return text.upper(), "" if text in terms else "in lower case: raised"

    return rule


def code_string(text: str) -> Checked:
    """VR CS."""
    if re.fullmatch(r"[A-Z0-9_ ]{1,16}", text):
        return text, ""
    return "", "no code string: dropped"


def identifier(limit: int) -> Rule:
    """VR LO, SH or UT of `limit` characters that identifies: never shortened, for what is
    shortened is another identifier."""

    def rule(text: str) -> Checked:
        value, problem = _printable(text)
        if len(value) > limit:
            return value, f"longer than {limit} characters: kept, since it identifies"
        return value, problem

    return rule


def description(limit: int) -> Rule:
    """VR LO or SH of `limit` characters that describes: shortened where it is too long."""

    def rule(text: str) -> Checked:
        value, problem = _printable(text)
        if len(value) > limit:
            return value[:limit].rstrip(), f"longer than {limit} characters: shortened"
        return value, problem

    return rule


def person_name(text: str) -> Checked:
    """VR PN: at most three component groups of five components each; kept whatever it is."""
    value, problem = _printable(text)
    groups = value.split("=")
    if len(groups) > 3 or any(group.count("^") > 4 or len(group) > 64 for group in groups):
        return value, "more groups, components or characters than a name may have: kept"
    return value, problem


def _printable(text: str) -> Checked:
    """Without control characters, and one value where backslashes made several of it."""
    first, *more = text.split("\\")
    value = "".join(c for c in first if c >= " " and not "\x7f" <= c <= "\x9f").strip()
    if more:
        return value, "has several values: the first one taken"
    return value, "" if value == first.strip() else "has control characters: removed"
