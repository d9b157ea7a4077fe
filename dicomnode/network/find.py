"""C-FIND SCU: the matches of a key, at whichever level (PS3.4 annex C, Study Root).

Broken off by C-CANCEL (PS3.7 section 9.3.2.3) when they are more than are of use.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Protocol

from pydicom.dataset import Dataset
from pynetdicom import build_context
from pynetdicom.association import Association
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StudyRootQueryRetrieveInformationModelFind as StudyRootFind,
)

from dicomnode.audit import trail
from dicomnode.audit.events import Peer, Queried
from dicomnode.errors import PeerCause, PeerError
from dicomnode.network.associations import SUCCESS, not_accepted, unanswered

CONTEXTS = [build_context(StudyRootFind)]

_PENDING = {0xFF00, 0xFF01}  # PS3.4 table C.4-1
_CANCELLED = 0xFE00


class Finder:
    """Asks on one association, one key after the other."""

    def __init__(self, association: Association, timeout: float) -> None:
        """`timeout`: seconds for all matches of a key, where `find` is given no deadline."""
        self._association = association
        self._timeout = timeout
        self._message_id = 0
        self.status: int | None = None
        """Of the last response: whatever came was not all there is, where it is no success."""

    def deadline(self) -> float:
        """Of what is asked now, in monotonic seconds."""
        return time.monotonic() + self._timeout

    def find(
        self, key: Dataset, most: int | None = None, deadline: float | None = None
    ) -> Iterator[Dataset]:
        """The matches; after `most` of them C-CANCEL, and the rest is only waited for.

        Raises:
            PeerError: the peer refuses the query, answers a failure, or is too slow.
        """
        deadline = self.deadline() if deadline is None else deadline
        self._message_id += 1
        for number, (status, match) in enumerate(self._responses(key), start=1):
            enough = most is not None and number > most
            late = time.monotonic() > deadline
            if late:
                self._association.abort()
            if enough and (late or "Status" not in status):
                return
            if late or not _is_pending(status):
                self._check_ended(status, late)
                return
            if match is not None and not enough:
                yield match
            if number == most:
                self._association.send_c_cancel(self._message_id, query_model=StudyRootFind)

    def _check_ended(self, status: Dataset, late: bool) -> None:
        self.status = code = status.get("Status")
        if late:
            text = f"C-FIND was not answered within {self._timeout:g} s"
            raise PeerError(text, PeerCause.NO_ANSWER)
        if code is None:
            raise unanswered(self._association, "C-FIND")
        if code not in {SUCCESS, _CANCELLED}:
            raise PeerError(f"C-FIND answered 0x{code:04X}", PeerCause.STATUS)

    def _responses(self, key: Dataset) -> Iterator[tuple[Dataset, Dataset | None]]:
        try:
            yield from self._association.send_c_find(key, StudyRootFind, self._message_id)
        except RuntimeError as error:  # not established any more
            raise unanswered(self._association, "C-FIND") from error
        except ValueError as error:  # no accepted context
            raise not_accepted("C-FIND", StudyRootFind) from error


def _is_pending(status: Dataset) -> bool:
    return status.get("Status") in _PENDING


def identifier(level: str, **keys: str | None) -> Dataset:
    """A key at a level: values to match, None for what is only to be returned."""
    found = Dataset()
    found.QueryRetrieveLevel = level
    for keyword, value in keys.items():
        setattr(found, keyword, value)
    return found


class Asked(Protocol):
    """Who is asked: its AE title, and an IP address or host."""

    @property
    def ae_title(self) -> str: ...
    @property
    def address(self) -> str: ...


def record_query(peer: Asked, what: str) -> None:
    """Into the audit trail, before `peer` is asked. `what`: the UIDs, from the study down, or what
    else was asked for; no patient."""
    us = Peer(peer.ae_title, peer.address)
    trail.record(Queried(us, str(CONTEXTS[0].abstract_syntax), what))
