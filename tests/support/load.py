"""Senders that keep a receiver busy, and remember what it promised them."""

from __future__ import annotations

import itertools
import random
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from support.scu import Scu
from support.stamped import Stamped, Template

SUCCESS = 0x0000
_LONGEST_PAUSE_SECONDS = 0.1  # between instances, as a scanner or a busy PACS has


class Ledger:
    """What was sent, and what of it was answered 0x0000: by SOP Instance UID, the SHA-256."""

    def __init__(self) -> None:
        self.sent: dict[str, str] = {}
        self.answered: dict[str, str] = {}
        self.series: dict[str, str] = {}
        self.other_answers: list[int] = []
        self.broken = 0  # associations that ended before their release
        self.numbers = itertools.count(1)

    def note_sent(self, instance: Stamped) -> None:
        self.sent[instance.sop_instance_uid] = instance.sha256
        self.series[instance.sop_instance_uid] = instance.series_instance_uid

    def note_answer(self, instance: Stamped, status: int) -> None:
        if status == SUCCESS:
            self.answered[instance.sop_instance_uid] = instance.sha256
        else:
            self.other_answers.append(status)


class Sender(threading.Thread):
    """Sends one short association after the other until told to stop, whatever becomes of them.

    As a PACS does, it sends again what was not answered; but only half of it, so that what was
    begun and never came again is among what is checked.
    """

    def __init__(self, port: int, templates: list[Template], ledger: Ledger, seed: int) -> None:
        super().__init__(name=f"sender-{seed}", daemon=True)
        self._port, self._templates, self._ledger = port, templates, ledger
        self._rng = random.Random(seed)
        self._unanswered: Stamped | None = None
        self._series = seed * 1_000_000
        self.stop = threading.Event()
        self.fault: BaseException | None = None

    def run(self) -> None:
        try:
            while not self.stop.is_set():
                self._one_association()
        except BaseException as fault:  # noqa: BLE001 - told by `sending`
            self.fault = fault

    def _one_association(self) -> None:
        self._series += 1
        try:
            with Scu(self._port, calling=f"SENDER{self.name[-1]}") as association:
                for _ in range(self._rng.randint(1, 20)):
                    self._store(association)
                    if self.stop.wait(self._rng.uniform(0.0, _LONGEST_PAUSE_SECONDS)):
                        return
        except (ConnectionError, TimeoutError):
            self._ledger.broken += 1
            if self._rng.random() < 0.5:
                self._unanswered = None

    def _store(self, association: Scu) -> None:
        instance = self._unanswered or self._next()
        self._unanswered = instance
        self._ledger.note_sent(instance)
        self._ledger.note_answer(instance, association.store_instance(instance))
        self._unanswered = None

    def _next(self) -> Stamped:
        template = self._rng.choice(self._templates)
        return template.instance(next(self._ledger.numbers), self._series)


@contextmanager
def sending(senders: Sequence[Sender]) -> Iterator[None]:
    """Load for as long as the block lasts. Raises what ended a sender before."""
    for sender in senders:
        sender.start()
    try:
        yield
    finally:
        for sender in senders:
            sender.stop.set()
        for sender in senders:
            sender.join(30)
    assert [sender.fault for sender in senders if sender.fault is not None] == []
    assert not any(sender.is_alive() for sender in senders), "a sender hangs"
