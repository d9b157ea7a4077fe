"""What an archive is asked for next when series are pulled, how quickly, and what it answered.

PS3.4 tables C.4-2 (C-MOVE) and C.4-3 (C-GET), PS3.7 annex C; PS3.18 section 10.4 (WADO-RS).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from enum import Enum

from dicomnode.decisions.wording import how_many

MOST_TRIES = 3
"""So often an instance is asked for; then it is told as not had."""

_PORTION_SECONDS = 2.0
_MOST_IN_PORTION = 100  # UIDs in one identifier: 6.5 kB, which no archive was seen to refuse
_FIRST_PAUSE_SECONDS = 2.0
_LONGEST_PAUSE_SECONDS = 30.0


class Follow(Enum):
    """What an answer means for what is asked next."""

    DONE = "done"
    PARTLY = "some were not sent"
    AGAIN = "asked again later"
    OTHERWISE = "asked again later, for whole series"
    HOPELESS = "not asked again"
    CANCELLED = "broken off"
    STOP = "nothing more is asked of this archive"


@dataclass(frozen=True)
class Counts:
    """Sub-operations (0000,1020) to (0000,1023); None where the archive does not say."""

    remaining: int | None = None
    completed: int | None = None
    failed: int | None = None
    warning: int | None = None

    @property
    def sent(self) -> int | None:
        """What was stored, with a warning or without."""
        told = [each for each in (self.completed, self.warning) if each is not None]
        return sum(told) if told else None


@dataclass(frozen=True)
class RetrieveStatus:
    """Statuses `first` to `last`; `advice`: for the administrator, with `{ae_title}`, ours."""

    first: int
    last: int
    follow: Follow
    meaning: str
    advice: str = ""


def _row(
    status: int, follow: Follow, meaning: str, advice: str = "", last: int = 0
) -> RetrieveStatus:
    return RetrieveStatus(status, max(status, last), follow, meaning, advice)


_KNOWN_THERE = (
    "its administrator has to enter this node as a destination of C-MOVE: AE title {ae_title}, with"
    " the address of this machine and the port of [receive]"
)
_MAY = "its administrator has to let the AE title {ae_title} query and retrieve"
_LOG = "see its log"

RETRIEVE_STATUSES = (
    _row(0x0000, Follow.DONE, "all was sent"),
    _row(0xFE00, Follow.CANCELLED, "broken off, as it was asked"),
    _row(0xB000, Follow.PARTLY, "some could not be sent, or were stored with a warning", _LOG),
    _row(0xA701, Follow.AGAIN, "it has no resources to count what matches"),
    _row(0xA702, Follow.AGAIN, "it has no resources to send"),
    _row(0xA801, Follow.STOP, "move destination unknown", _KNOWN_THERE),
    _row(0xA900, Follow.OTHERWISE, "what is asked for does not fit the class of the request"),
    _row(0xAA00, Follow.HOPELESS, "it cannot make what is asked for", _LOG, 0xAA04),
    _row(0xA700, Follow.AGAIN, "out of resources", _LOG, 0xA7FF),
    _row(0xC000, Follow.OTHERWISE, "it cannot do what is asked for", _LOG, 0xCFFF),
    _row(0x0110, Follow.AGAIN, "processing failed there", _LOG),
    _row(0x0122, Follow.STOP, "this kind of retrieving is not supported there", "try another"),
    _row(0x0124, Follow.STOP, "not authorized", _MAY),
    _row(0x0210, Follow.AGAIN, "a message with this number is under way"),
    _row(0x0211, Follow.STOP, "this kind of retrieving is not known there", "try another"),
    _row(0x0212, Follow.OTHERWISE, "an argument of the message is not known there"),
    _row(0x0213, Follow.AGAIN, "a resource is short there", _LOG),
)
_UNKNOWN = _row(0, Follow.AGAIN, "a status that the standard does not know", _LOG, 0xFFFF)


@dataclass(frozen=True)
class Answered:
    """What became of one request. `text`: for a person, "" where all was sent."""

    follow: Follow
    text: str = ""
    counts: Counts = Counts()


def judge_answer(status: int, counts: Counts, ae_title: str, comment: str = "") -> Answered:
    """What the last response to a C-MOVE or C-GET request means.

    An archive that says success and counts failures had some. `comment`: Error Comment (0000,0902).
    """
    row = next((row for row in RETRIEVE_STATUSES if row.first <= status <= row.last), _UNKNOWN)
    if row.follow is Follow.DONE and counts.failed:
        row = _row(status, Follow.PARTLY, "all was sent, it says, and counts failures", _LOG)
    if row.follow is Follow.DONE:
        return Answered(Follow.DONE, counts=counts)
    failed = f" ({how_many(counts.failed, 'instance')} failed)" if counts.failed else ""
    own_words = f", in its words: {comment}" if comment else ""
    advice = f": {row.advice.format(ae_title=ae_title)}" if row.advice else ""
    text = f"answered 0x{status:04X}, {row.meaning}{failed}{own_words}{advice}"
    return Answered(row.follow, text, counts)


@dataclass
class Wanted:
    """The instances of a series that are still wanted: asked for in turn, each a few times.

    `whole`: the archive names no instances, or does not send single ones: the series is asked for
    as a whole.
    """

    missing: list[str]
    whole: bool = False
    given_up: list[str] = field(default_factory=list)
    _tries: dict[str, int] = field(default_factory=dict)

    def portion(self, images_per_second: float, of_series: int) -> tuple[str, ...]:
        """What to ask for now; () for the whole series.

        A series of which nothing is here is asked for as a whole where nothing limits the rate.
        """
        unlimited = images_per_second <= 0
        if self.whole or (unlimited and len(self.missing) == of_series and not self._tries):
            return ()
        size = _MOST_IN_PORTION if unlimited else round(images_per_second * _PORTION_SECONDS)
        return tuple(self.missing[: max(1, min(size, _MOST_IN_PORTION))])

    def answered(self, portion: Collection[str], came: Collection[str], follow: Follow) -> None:
        """What came is wanted no more; what did not goes to the end of the line, or is given up."""
        asked = set(portion) or set(self.missing)
        if portion and not asked & set(came) and follow in (Follow.DONE, Follow.OTHERWISE):
            self.whole = True
        left = [uid for uid in self.missing if uid not in came]
        for uid in asked.intersection(left):
            self._tries[uid] = self._tries.get(uid, 0) + 1
        hopeless = follow is Follow.HOPELESS
        out = {u for u in asked if hopeless or self._tries.get(u, 0) >= MOST_TRIES}
        self.given_up += [uid for uid in left if uid in out]
        again = [uid for uid in left if uid in asked - out]
        self.missing = [uid for uid in left if uid not in asked] + again

    @property
    def pause_seconds(self) -> float:
        """Before the next request, where the last one failed: longer each time."""
        tries = max((self._tries.get(uid, 0) for uid in self.missing), default=0)
        return min(_FIRST_PAUSE_SECONDS * 2.0 ** max(tries - 1, 0), _LONGEST_PAUSE_SECONDS)


def pause_after(images: int, took_seconds: float, images_per_second: float) -> float:
    """How long to wait, so that so many images took as long as they may."""
    if images_per_second <= 0:
        return 0.0
    return max(0.0, images / images_per_second - took_seconds)


@dataclass(frozen=True)
class FoundStudy:
    """A study that an archive has. `patient_id`: never shown, never logged."""

    study_instance_uid: str
    study_date: str = ""
    accession_number: str = ""
    patient_id: str = field(default="", repr=False)
    issuer: str = field(default="", repr=False)
    birth_date: str = field(default="", repr=False)


@dataclass(frozen=True)
class FoundSeries:
    """A series that an archive has; `instances`: None where it does not count them."""

    study_instance_uid: str
    series_instance_uid: str
    modality: str = ""
    instances: int | None = None


def of_accession(found: Iterable[FoundStudy], accession_number: str) -> list[FoundStudy]:
    """Some archives overlook the key and return whatever they have."""
    return [each for each in found if each.accession_number == accession_number]


def priors_of(study: FoundStudy, found: Iterable[FoundStudy]) -> list[FoundStudy]:
    """The earlier studies of the same patient, the newest first.

    The same Patient ID; and where both tell them the same issuer and birth date: hospitals give
    the same number to two patients. What bears no date is not known to be earlier.
    """
    if not study.patient_id or not study.study_date:
        return []
    earlier = [
        each
        for each in found
        if each.patient_id == study.patient_id
        and _agree(each.issuer, study.issuer)
        and _agree(each.birth_date, study.birth_date)
        and "" < each.study_date < study.study_date
    ]
    return sorted(earlier, key=lambda each: each.study_date, reverse=True)


def _agree(one: str, other: str) -> bool:
    return not (one and other) or one == other


def of_ct(found: Iterable[FoundSeries]) -> list[FoundSeries]:
    """The series that are CT, and those of which the archive does not say what they are."""
    return [each for each in found if each.modality in ("CT", "")]


def as_key(value: str) -> str:
    """A value that is matched as it is.

    Raises:
        ValueError: with "*", "?" or a backslash it would match others too (PS3.4 C.2.2.2).
    """
    if not value or any(each in value for each in "*?\\") or not value.isprintable():
        raise ValueError("must be neither empty nor hold *, ? or a backslash")
    return value
