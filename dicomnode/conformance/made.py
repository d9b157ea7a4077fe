"""The objects that the node makes, built for the statement from a patient that never lived."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime

from dicomnode.config.destinations import AnyDestination
from dicomnode.config.settings import Settings
from dicomnode.decisions.reasons import Reason, Verdict
from dicomnode.decisions.result_options import Variant
from dicomnode.deliver.result_settings import result_settings
from dicomnode.deliver.routing import variant_for
from dicomnode.results.common.context import ResultObject
from dicomnode.results.common.patient import normalised_header
from dicomnode.results.documents.note import SeriesNotAnalysed, note_objects
from dicomnode.results.documents.text_document import TextOrigin
from dicomnode.synthetic.patient import SyntheticPatient
from dicomnode.synthetic.results import synthetic_results, synthetic_withdrawal

_MOMENT = datetime(2000, 1, 1, tzinfo=UTC)
_REASON = Reason("slice_thickness", 5.0, "at most 3 mm", Verdict.FAIL)
_WORDS = {
    "sr": "Report of an analysis",
    "montage": "Montage of key slices",
    "key_slice": "Key slice with its heatmap",
    "slice": "Slice with its heatmap",
    "slices": "All slices with their heatmaps",
    "seg": "Segmentation of the lungs",
    "region_seg": "Segmentation of the regions found",
    "note": "Note that nothing was analysed",
    "retraction": "Withdrawal of results",
}


class MadeObjects:
    """One object of each kind and class, for all destinations."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._variants = {each.name: _variant(settings, each) for each in settings.destinations}
        asked = set(self._variants.values()) or {settings.results.variant}
        self._results = _one_of_each(_results(settings, asked))
        self._notes = _one_of_each(_notes(settings))
        kinds = {each.rejection_notes for each in settings.destinations} or {False}
        self._withdrawals = {
            notes: _withdrawal(settings, self._results[0], as_key_object=notes) for notes in kinds
        }

    @property
    def all(self) -> tuple[ResultObject, ...]:
        """In the order of an analysis, then notes and withdrawals."""
        return (*self._results, *self._notes, *self._withdrawals.values())

    def for_destination(self, destination: AnyDestination | None) -> tuple[ResultObject, ...]:
        """What it may be sent, if routes let it; None: one that asks for nothing special."""
        variant, notes = self._settings.results.variant, False
        if destination is not None:
            variant, notes = self._variants[destination.name], destination.rejection_notes
        taken = (each for each in self._results if variant.choices.issuperset(each.choices))
        return (*taken, *self._notes, self._withdrawals[notes])

    def classes_for(self, destination: AnyDestination | None) -> list[str]:
        """UIDs of their SOP classes, sorted, as they are proposed."""
        return sorted({str(each.sop_class_uid) for each in self.for_destination(destination)})


def words_of(made: ResultObject) -> str:
    """What a person calls it."""
    return _WORDS[made.kind]


def _variant(settings: Settings, destination: AnyDestination) -> Variant:
    return variant_for(destination, settings.results.variant)


def _one_of_each(objects: Iterable[ResultObject]) -> tuple[ResultObject, ...]:
    found: dict[tuple[str, str], ResultObject] = {}
    for each in objects:
        found.setdefault((each.kind, str(each.sop_class_uid)), each)
    return tuple(found.values())


def _patient() -> SyntheticPatient:
    return SyntheticPatient("CONFORMANCE", _MOMENT, "2.25.1", "2.25.2")


def _results(settings: Settings, variants: Iterable[Variant]) -> tuple[ResultObject, ...]:
    known = result_settings(settings)
    one = replace(known, options=replace(known.options, key_slices=1))
    return synthetic_results(_patient(), one, variants)


def _origin(settings: Settings) -> TextOrigin:
    header = normalised_header(_patient().headers()[:1])
    return TextOrigin(header, _MOMENT, result_settings(settings))


def _notes(settings: Settings) -> Iterator[ResultObject]:
    if settings.results.note == "off":
        return
    series = SeriesNotAnalysed("2.25.2", "1", "Thorax", 60, False, "", (_REASON,))
    number = settings.results.note_series_number
    yield from note_objects(_origin(settings), [series], whole_study=True, series_number=number)


def _withdrawal(settings: Settings, report: ResultObject, *, as_key_object: bool) -> ResultObject:
    known = result_settings(settings)
    return synthetic_withdrawal(_patient(), known, [report], as_key_object=as_key_object)
