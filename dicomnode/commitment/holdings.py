"""Whether we hold what a peer asks us to commit to: in the index and on the disk."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from dicomnode.commitment.data_sets import SopReference
from dicomnode.decisions.delivery.commitment_status import CLASS_CONFLICT, NO_SUCH_INSTANCE
from dicomnode.dicom_files.identity import identify_file
from dicomnode.errors import DataError
from storage import commitment_answers as answers
from storage.commitment_answers import OwedReport
from storage.database import Database
from storage.instances import InstanceFiles

log = logging.getLogger(__name__)

PATIENCE_SECONDS = 3.0
"""An instance that was just stored is in the index after a quarter of a second."""

Failure = tuple[SopReference, int]
"""An object, and its Failure Reason (0008,1197)."""


@dataclass(frozen=True)
class Held:
    """What we hold, what we hold under another class, and what the index does not know."""

    committed: tuple[SopReference, ...]
    failed: tuple[Failure, ...]
    unknown: tuple[SopReference, ...] = ()


class Holdings:
    """The instances of one node."""

    def __init__(self, database: Database, files: InstanceFiles) -> None:
        self._database = database
        self._files = files

    def judge(self, objects: Sequence[SopReference]) -> Held:
        """What the index says of each. `unknown`: it may lie on the disk, and be indexed soon.

        Raises:
            DatabaseUnavailableError
        """
        with self._database.read() as session:
            uids = {uid for _, uid in objects}
            known = answers.held_instances(session, uids, self._files.node_id)
        classes = {
            uid: each.sop_class_uid
            for uid, each in known.items()
            if each.elsewhere or self._files.is_there(each.path)
        }
        return _judged(objects, classes)

    def search(self, objects: Sequence[SopReference]) -> Held:
        """As `judge`; what the index does not know is looked for among all files, by its name.

        Raises:
            DatabaseUnavailableError
            OSError: a folder or a file cannot be read now: nothing true can be said.
        """
        held = self.judge(objects)
        if not held.unknown:
            return held
        found = _judged(held.unknown, self._classes({uid for _, uid in held.unknown}))
        absent = ((each, NO_SUCH_INSTANCE) for each in found.unknown)
        return Held((*held.committed, *found.committed), (*held.failed, *found.failed, *absent))

    def _classes(self, sop_instance_uids: Collection[str]) -> dict[str, str]:
        """SOP Class UIDs of those that lie on the disk."""
        classes = {}
        for uid, path in self._files.find(sop_instance_uids).items():
            try:
                identity, _meta = identify_file(self._files.open_path(path))
            except DataError as error:
                log.error("instance file %s cannot be read: %s", path, error)
            except FileNotFoundError:
                continue  # removed meanwhile
            else:
                classes[uid] = identity.sop_class_uid
        return classes


def _judged(objects: Sequence[SopReference], classes: dict[str, str]) -> Held:
    """`classes`: of what is there, by SOP Instance UID."""
    there = [each for each in objects if each[1] in classes]
    return Held(
        tuple(each for each in there if classes[each[1]] == each[0]),
        tuple((each, CLASS_CONFLICT) for each in there if classes[each[1]] != each[0]),
        tuple(each for each in objects if each[1] not in classes),
    )


def tell(owed: OwedReport, failed: int) -> None:
    """In the log: a peer has its report."""
    text = "%s was told that %d of %d objects are held"
    level = logging.WARNING if failed else logging.INFO
    log.log(level, text, owed.ae_title, len(owed.objects) - failed, len(owed.objects))
