"""The UIDs of all result objects are made here: names of what the objects hold.

A UID is derived from every byte of its object but the UIDs themselves, the times of the analysis,
and the words on how it was known that the series had come whole. So a UID never has two contents,
whichever model, engine, number of threads, version or setting made them, and whatever leaves an
object as it is leaves its UID too. A report names its segmentations, so it changes with them.

Same input, model, settings and engine: the same UIDs, on every node and at every time. The bytes
are the same too but for the times, and those that were made first are kept (`result_store`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from pydicom.datadict import keyword_for_tag
from pydicom.dataset import Dataset
from pydicom.uid import UID

from dicomnode.results.common.context import ResultObject
from dicomnode.results.common.encoding import encode_sequences, encoded
from dicomnode.results.common.uids import derived_uid

UNNAMED = UID("2.25.0")
"""Stands in an object where its UIDs will be, until it has its content."""

_NOT_CONTENT = frozenset(
    {
        "SOPInstanceUID",
        "SeriesInstanceUID",
        *(
            f"{what}{part}"
            for what in ("InstanceCreation", "Series", "Content")
            for part in ("Date", "Time")
        ),
    }
)


def named(
    objects: Sequence[ResultObject],
    *salt: str,
    contents: Sequence[ResultObject] | None = None,
) -> tuple[ResultObject, ...]:
    """The objects of one new series, with their UIDs set.

    `salt`: what else shall make other names of the same content. `contents`: the same objects as
    they would be made at another time, where they speak of the time in their text or pixels.
    """
    for each in objects:
        encode_sequences(each.data_set)
    digests = [content_digest(each.data_set) for each in contents or objects]
    series = derived_uid("result series", *salt, *digests)
    for each, digest in zip(objects, digests, strict=True):
        uid = derived_uid("result", *salt, series, str(each.sop_class_uid), digest)
        each.data_set.SeriesInstanceUID = series
        each.data_set.SOPInstanceUID = uid
        each.data_set.file_meta.MediaStorageSOPInstanceUID = UID(uid)
    return tuple(objects)


def content_digest(data_set: Dataset) -> str:
    """SHA-256 (hex) of all that an object says, without its UIDs and times."""
    content = Dataset()
    for element in data_set.elements():
        if keyword_for_tag(element.tag) not in _NOT_CONTENT:
            content[element.tag] = element
    meta = data_set.file_meta
    digest = hashlib.sha256(
        f"{meta.TransferSyntaxUID} {meta.SourceApplicationEntityTitle} ".encode()
    )
    digest.update(encoded(content))
    return digest.hexdigest()
