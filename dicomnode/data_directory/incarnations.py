"""Each time that a data directory is held is a start of its own; on which disk it lay is known.

Where a machine is cloned, or a data directory copied, two hosts bear the id of one node. What tells
a restart from that: the former start held the lock of this very directory, under this boot of this
machine, so that it is over. Of any other the database knows whether it is heard of still.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from socket import gethostname
from uuid import uuid4

from pydantic import TypeAdapter, ValidationError

from dicomnode.errors import ConfigurationError
from storage.durable import DurableFiles
from storage.overview_records import ID_SHOWN, Node

FILE = "starts.json"
"""Name of the file in the data directory that holds the last starts."""

SILENCE = timedelta(seconds=20)
"""A node says every five seconds that it lives: one that has not for so long has ended, or finds
when it wakes up that another has begun."""

ENDED = "/ended"
"""How the mark ends that a node leaves which is stopped: it may be started elsewhere at once."""

_KEPT = 50
_BOOT = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True)
class Start:
    """`word`: drawn. `place`: boot, file system and inode of the directory; empty: not known."""

    word: str
    place: str


@dataclass(frozen=True)
class Starts:
    """Those of one data directory, oldest first; of none where nobody has held it yet."""

    known: tuple[Start, ...] = ()

    @property
    def word(self) -> str:
        """Of the last."""
        return self.known[-1].word if self.known else ""

    def is_ours(self, mark: str) -> bool:
        """Whether the last start, or one before it that is over, has left this mark; so has
        anybody, where it is empty: an earlier release says nothing."""
        word, place = mark.partition("/")[0], self.known[-1].place if self.known else ""
        over = {each.word for each in self.known if place and each.place == place}
        return word in {"", self.word} | over

    def is_of_earlier(self, mark: str) -> bool:
        """Whether an earlier start of this directory, or of the one that it is a copy of, has left
        this mark."""
        return mark.partition("/")[0] in {each.word for each in self.known[:-1]}


_STARTS = TypeAdapter(tuple[Start, ...])


def begin(data_directory: Path) -> None:
    """To be called by who has the lock of the directory.

    Raises:
        OSError
    """
    found = data_directory.stat()
    place = f"{boot}/{found.st_dev}/{found.st_ino}" if (boot := _boot()) else ""
    kept = (*starts_of(data_directory).known, Start(uuid4().hex, place))[-_KEPT:]
    DurableFiles(data_directory).put(FILE, (_STARTS.dump_json(kept),))


def starts_of(data_directory: Path) -> Starts:
    """
    Raises:
        OSError: who may not look there.
    """
    with suppress(FileNotFoundError, ValidationError):
        return Starts(_STARTS.validate_json((data_directory / FILE).read_bytes()))
    return Starts()


def _boot() -> str:
    """Another each time that the machine is started."""
    with suppress(OSError):
        return _BOOT.read_text().strip()
    return ""


class StillHeardError(ConfigurationError):
    """Another start of the node may live: its `mark` in the row, when it was looked at."""

    def __init__(self, node: Node, data_directory: Path) -> None:
        super().__init__(twice(node, f"here, with {data_directory}"))
        self.mark = node.mark


def check_former_is_over(
    node: Node, starts: Starts, data_directory: Path, now: datetime, over: str = ""
) -> None:
    """`now`: by the clock of the database. `over`: a mark over which nobody has written for as
    long as SILENCE, as was seen here: that clock may have gone back, on a standby.

    Raises:
        StillHeardError: that is not sure yet.
    """
    silent = node.left_at is not None or now - node.heard_at > SILENCE
    silent = silent or node.mark.endswith(ENDED) or node.mark == over
    if not (silent or starts.is_ours(node.mark)):
        raise StillHeardError(node, data_directory)


def twice(node: Node, here: str) -> str:
    """That two hosts want to be one node, and what to do. `here`: where this one is."""
    return (
        f"two hosts bear the id of one node ({node.node_id[:ID_SHOWN]}…): it runs on "
        f"{node.name or 'another host'}, and was started on {gethostname()} {here}. One is a copy "
        "of the other: end one of them for good. A host that is to work beside the other needs "
        "an empty [node] data_directory"
    )
