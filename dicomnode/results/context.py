"""What result objects are built from, and what they are handed on as."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import cached_property

from pydicom.dataset import Dataset
from pydicom.uid import UID, CTImageStorage

from dicomnode.results.character_sets import raw_keyword
from dicomnode.results.patient import StudyHeader, normalised_header
from dicomnode.results.uids import UidSeed, model_digest
from inference.findings import CovnetFindings, SliceActivation
from inference.volume import CtVolume


class SrClass(StrEnum):
    """SOP class of the report: the same tree, for a PACS that refuses the newest class."""

    ENHANCED = "enhanced"
    COMPREHENSIVE = "comprehensive"
    COMPREHENSIVE_3D = "comprehensive_3d"


@dataclass(frozen=True)
class ResultSettings:
    """How this site's result objects look, and which device says that it made them."""

    manufacturer: str
    product_name: str
    software_version: str
    device_serial_number: str
    device_uid: str
    ae_title: str
    configuration_digest: str
    institution_name: str = ""  # used where the sources name none
    key_slices: int = 10
    sr_class: SrClass = SrClass.COMPREHENSIVE_3D
    sr_series_number: int = 9001
    sc_series_number: int = 9002
    revision: int = 0


@dataclass(frozen=True)
class SourceSlice:
    """One analysed slice as others refer to it. `index` counts from 0 along `volume.hu`."""

    index: int
    sop_class_uid: str
    sop_instance_uid: str
    instance_number: int | None


@dataclass(frozen=True, eq=False)
class ResultContext:
    """Everything that one analysis hands to its result objects.

    `sources`: headers of the analysed slices without pixels, in the order of `volume.hu`.
    `analysed_at`: aware; stored with the job, and the only clock of the objects. It is written in
    the zone of the source's Timezone Offset From UTC, else in its own.
    `input_digest`: names all that came for the series and its content, not the analysed slices
    alone: whatever may change a result of the same slices, even its wording, changes its UIDs.
    `completeness`, `conditions`, `notes`: sentences for the summary, without patient identity.

    Raises:
        ValueError: sources, volume and findings do not belong together, or the time is naive.
    """

    sources: Sequence[Dataset]
    volume: CtVolume
    findings: CovnetFindings
    analysed_at: datetime
    input_digest: str
    completeness: str
    conditions: str
    settings: ResultSettings
    notes: Sequence[str] = field(default=())

    def __post_init__(self) -> None:
        slices = len(self.volume.hu)
        if len(self.sources) != slices:
            raise ValueError(f"{len(self.sources)} sources for {slices} slices")
        if self.findings.lungs.shape != self.volume.hu.shape:
            raise ValueError(f"lungs {self.findings.lungs.shape} for {self.volume.hu.shape}")
        if not self.findings.activations:
            raise ValueError("findings without a slice: such a series is not analysed, but skipped")
        if any(not 0 <= a.slice_index < slices for a in self.findings.activations):
            raise ValueError("an activation lies outside the volume")
        if self.analysed_at.tzinfo is None:
            raise ValueError("analysed_at must be aware")

    @cached_property
    def header(self) -> StudyHeader:
        return normalised_header(self.sources)

    @cached_property
    def slices(self) -> tuple[SourceSlice, ...]:
        """References to the sources, in the order of `volume.hu`."""
        return tuple(_source_slice(i, source) for i, source in enumerate(self.sources))

    @property
    def source_series_uid(self) -> str:
        return raw_keyword(self.sources[0], "SeriesInstanceUID")

    @cached_property
    def key_slices(self) -> tuple[SliceActivation, ...]:
        """The slices with the largest share in the decision, the largest first."""
        return self.findings.ranked[: self.settings.key_slices]

    @cached_property
    def seed(self) -> UidSeed:
        model = self.findings.model
        return UidSeed(
            source_series_uid=self.source_series_uid,
            source_digest=self.input_digest,
            model_digest=model_digest(model.name, model.version, model.weights_sha256),
            configuration_digest=self.settings.configuration_digest,
            revision=self.settings.revision,
        )


@dataclass(frozen=True, eq=False)
class ResultObject:
    """One object to store, with its file meta information.

    `kind`: "sr", "montage" or "key_slice".
    """

    kind: str
    data_set: Dataset

    @property
    def sop_instance_uid(self) -> UID:
        return UID(self.data_set.SOPInstanceUID)

    @property
    def sop_class_uid(self) -> UID:
        return UID(self.data_set.SOPClassUID)


def _source_slice(index: int, source: Dataset) -> SourceSlice:
    number = raw_keyword(source, "InstanceNumber")
    return SourceSlice(
        index=index,
        sop_class_uid=raw_keyword(source, "SOPClassUID") or str(CTImageStorage),
        sop_instance_uid=raw_keyword(source, "SOPInstanceUID"),
        instance_number=int(number) if number.isascii() and number.isdigit() else None,
    )
