"""The results of a withdrawn set once more, as new objects: a withdrawal that is undone.

What a receiver has rejected under a UID it may never show again, and what a report has taken the
place of is not read any more. So each object gets UIDs of its own, made from those that it had,
and nothing else of what it shows changes; the report names the withdrawn one as its predecessor
(PS3.3 section C.17.2) and says that it reinstates it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from dicomnode.results.common import codes
from dicomnode.results.common.context import Predecessor, ResultObject
from dicomnode.results.common.modules import set_times
from dicomnode.results.common.uids import derived_uid
from dicomnode.results.documents.text_document import TextOrigin, predecessor_item

_STRUCTURED_REPORTS = "1.2.840.10008.5.1.4.1.1.88."


def reinstated(
    withdrawn: Sequence[ResultObject], origin: TextOrigin, withdrawal: str
) -> tuple[ResultObject, ...]:
    """New objects in the place of those of one set; the data sets given are changed into them.

    `withdrawal`: in words, when and why. `origin`: when it is undone.
    """
    uids = {
        uid: derived_uid("reinstated", uid)
        for each in withdrawn
        for uid in (str(each.data_set.SOPInstanceUID), str(each.data_set.SeriesInstanceUID))
    }
    for each in withdrawn:
        former = _reference(each.data_set)
        _rename(each.data_set, uids)
        each.data_set.file_meta.MediaStorageSOPInstanceUID = each.data_set.SOPInstanceUID
        set_times(each.data_set, origin)
        if str(each.sop_class_uid).startswith(_STRUCTURED_REPORTS):
            each.data_set.PredecessorDocumentsSequence = [predecessor_item(former)]
            _say(each.data_set, f"Reinstates report {former.sop_instance_uid}, {withdrawal}.")
    return tuple(withdrawn)


def _reference(data_set: Dataset) -> Predecessor:
    return Predecessor(
        str(data_set.StudyInstanceUID),
        str(data_set.SeriesInstanceUID),
        str(data_set.SOPClassUID),
        str(data_set.SOPInstanceUID),
    )


def _rename(data_set: Dataset, uids: Mapping[str, str]) -> None:
    """Wherever an object of the set is named: in itself, and in the others."""
    for element in data_set.iterall():
        if element.VR != "UI":
            continue
        if isinstance(element.value, MultiValue):
            element.value = [uids.get(str(uid), uid) for uid in element.value]
        else:
            element.value = uids.get(str(element.value), element.value)


def _say(report: Dataset, sentence: str) -> None:
    """Below the answer, in the text that every reader shows."""
    for item in report.ContentSequence:
        name = (item.get("ConceptNameCodeSequence") or [Dataset()])[0]
        if name.get("CodeValue") == codes.SUMMARY.value and "TextValue" in item:
            item.TextValue = f"{item.TextValue}\r\n{sentence}"
            return
    raise ValueError("the report has no summary")
