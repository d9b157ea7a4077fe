"""What result objects are built from, and what they are handed on as."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import UID, CTImageStorage

from dicomnode.decisions.agreement import Agreement, Answer, compare
from dicomnode.decisions.method_failure import MethodFailure
from dicomnode.decisions.result_options import ResultOptions
from dicomnode.results.common.character_sets import raw_keyword
from dicomnode.results.common.key_slices import (
    KeySlice,
    NumberedRegion,
    key_slices,
    numbered_regions,
)
from dicomnode.results.common.patient import StudyHeader, normalised_header
from dicomnode.results.common.uids import derived_uid, model_digest
from inference.findings import Findings, FoundLungs, ModelIdentity, Training
from inference.volume import CtVolume


@dataclass(frozen=True)
class ResultSettings:
    """How this site's result objects look, and which device says that it made them."""

    manufacturer: str
    product_name: str
    software_version: str
    device_serial_number: str
    device_uid: str
    ae_title: str
    options: ResultOptions = field(default_factory=ResultOptions)


@dataclass(frozen=True)
class SourceSlice:
    """One analysed slice as others refer to it. `index` counts from 0 along `volume.hu`."""

    index: int
    sop_class_uid: str
    sop_instance_uid: str
    instance_number: int | None
    frame_number: int | None = None  # from 1, of a multi-frame instance


@dataclass(frozen=True)
class Predecessor:
    """The report that this one takes the place of; `why`: words for its summary."""

    study_instance_uid: str
    series_instance_uid: str
    sop_class_uid: str
    sop_instance_uid: str
    why: str = "more instances of the series came after it"


@dataclass(frozen=True, eq=False)
class ResultContext:
    """Everything that one analysis hands to its result objects.

    `sources`: headers of the analysed slices without pixels, in the order of `volume.hu`.
    `analysed_at`: aware; stored with the job, and the only clock of the objects. It is written in
    the zone of the source's Timezone Offset From UTC, else in its own.
    `input_digest`: names all that came for the series and its content, not the analysed slices
    alone. `revision`: how often results of the series were withdrawn: what is made then has other
    UIDs, even with the same content.
    `frame_numbers`: of each source, None where it is an instance by itself; () when all are.
    `completeness`, `conditions`, `notes`: sentences for the summary, without patient identity.
    `outcomes`: what each configured method came to on the volume, in their order, one of them
    at least to findings. `lungs`: what all methods looked at, and how it was found.

    Raises:
        ValueError: sources, volume and findings do not belong together, there are none, or the
            time is naive.
    """

    sources: Sequence[Dataset]
    volume: CtVolume
    outcomes: Sequence[Findings | MethodFailure]
    lungs: FoundLungs
    analysed_at: datetime
    input_digest: str
    completeness: str
    conditions: str
    settings: ResultSettings
    notes: Sequence[str] = field(default=())
    predecessor: Predecessor | None = None
    frame_numbers: Sequence[int | None] = field(default=())
    revision: int = 0

    def __post_init__(self) -> None:
        slices = len(self.volume.hu)
        if len(self.sources) != slices:
            raise ValueError(f"{len(self.sources)} sources for {slices} slices")
        if len(self.frame_numbers) not in {0, slices}:
            raise ValueError(f"{len(self.frame_numbers)} frame numbers for {slices} slices")
        if self.lung_mask.shape != self.volume.hu.shape:
            raise ValueError(f"lungs {self.lung_mask.shape} for {self.volume.hu.shape}")
        self._check_activations()
        if self.analysed_at.tzinfo is None:
            raise ValueError("analysed_at must be aware")

    def _check_activations(self) -> None:
        if not self.findings:
            raise ValueError("no findings at all: such a series is not analysed, but failed")
        indices = [each.slice_index for found in self.findings for each in found.heat or ()]
        if any(not 0 <= index < len(self.sources) for index in indices):
            raise ValueError("an activation lies outside the volume")

    @cached_property
    def findings(self) -> tuple[Findings, ...]:
        """Of each method that came to some, in order."""
        return tuple(each for each in self.outcomes if isinstance(each, Findings))

    @property
    def failures(self) -> tuple[MethodFailure, ...]:
        """Of the methods that came to none."""
        return tuple(each for each in self.outcomes if isinstance(each, MethodFailure))

    @cached_property
    def regions(self) -> tuple[NumberedRegion, ...]:
        """The infections that methods found in regions."""
        return numbered_regions(self.findings)

    @cached_property
    def with_heat(self) -> tuple[Findings | None, ...]:
        """The findings that have heatmaps; None alone where there are no heatmaps."""
        return tuple(found for found in self.findings if found.heat is not None) or (None,)

    @property
    def lung_mask(self) -> NDArray[np.bool_]:
        """Both lungs: bool (slices, rows, columns)."""
        return self.lungs.mask

    @cached_property
    def header(self) -> StudyHeader:
        return normalised_header(self.sources)

    @cached_property
    def slices(self) -> tuple[SourceSlice, ...]:
        """References to the sources, in the order of `volume.hu`."""
        frames = self.frame_numbers or [None] * len(self.sources)
        pairs = zip(self.sources, frames, strict=True)
        return tuple(_source_slice(i, source, frame) for i, (source, frame) in enumerate(pairs))

    @cached_property
    def lossy_source(self) -> Dataset | None:
        """The first that was once compressed with loss."""
        lossy = (s for s in self.sources if raw_keyword(s, "LossyImageCompression") == "01")
        return next(lossy, None)

    @property
    def source_series_uid(self) -> str:
        return raw_keyword(self.sources[0], "SeriesInstanceUID")

    def slices_shown(self, heat: Findings | None, most: int | None = None) -> tuple[KeySlice, ...]:
        """Those of one of `with_heat`, the largest share in the decision first, then of regions.

        The slices of regions are shown with the first of them. `most`: None for as many as the
        settings ask for.
        """
        regions = self.regions if heat is self.with_heat[0] else ()
        return key_slices(
            heat, regions, most or self.settings.options.key_slices, self.widest_slice
        )

    @cached_property
    def widest_slice(self) -> int:
        """Index of the slice with most lung."""
        return int(np.count_nonzero(self.lung_mask, axis=(1, 2)).argmax())

    @cached_property
    def models(self) -> tuple[ModelIdentity, ...]:
        """Whose findings these are: at least one."""
        return tuple(found.model for found in self.findings)

    @property
    def training(self) -> Training:
        """What the least trained of the methods' weights were trained on."""
        return min((model.training for model in self.models), key=list(Training).index)

    @property
    def warning(self) -> str | None:
        """The sentences about the weights, for a place that shows what all methods found."""
        lines: dict[str, str] = {}
        for found in self.findings:
            if found.model.warning:
                lines.setdefault(found.model.warning, warning_line(found))
        return "; ".join(lines.values()) or None

    @cached_property
    def agreement(self) -> Agreement | None:
        """Whether the methods agree; None where there is one answer alone."""
        if len(self.findings) < 2:
            return None
        return compare([_compared(found) for found in self.findings])

    def tracking_uid(self, finding: str, model: ModelIdentity) -> str:
        """By which a finding of a model is tracked, in the report and in the segmentation."""
        names = model.name, model.version, model.weights_sha256, *model.otherwise
        digest = model_digest(*names)
        return derived_uid("tracking", self.source_series_uid, self.input_digest, digest, finding)

    @property
    def salt(self) -> tuple[str, ...]:
        """What besides their content goes into the UIDs of the objects."""
        return (f"revision {self.revision}",) if self.revision else ()


@dataclass(frozen=True, eq=False)
class ResultObject:
    """One object to store, with its file meta information.

    `kind`: "sr", "montage", "key_slice", "slice", "slices", "seg", "region_seg"; "note" and
    "retraction" (see there). `choices`: those of a `Variant` that show in it; empty in one that is
    the same for all.
    """

    kind: str
    data_set: Dataset
    choices: frozenset[str] = frozenset()

    @property
    def sop_instance_uid(self) -> UID:
        return UID(self.data_set.SOPInstanceUID)

    @property
    def sop_class_uid(self) -> UID:
        return UID(self.data_set.SOPClassUID)


def warning_line(found: Findings) -> str:
    """The sentence about a method's weights, by which its heading stands; "" without any."""
    heading, warning = found.title.heading, found.model.warning
    return f"{heading}: {warning}" if heading and warning else warning or ""


def _compared(found: Findings) -> Answer:
    outcome, classes = found.answer.outcome, found.answer.classes
    return Answer(
        text=outcome.name,
        concept=(outcome.scheme, outcome.value),
        by=found.title.by,
        class_set=frozenset((each.scheme, each.value) for each in classes),
        warning=found.model.warning,
    )


def _source_slice(index: int, source: Dataset, frame_number: int | None) -> SourceSlice:
    number = raw_keyword(source, "InstanceNumber")
    return SourceSlice(
        index=index,
        sop_class_uid=raw_keyword(source, "SOPClassUID") or str(CTImageStorage),
        sop_instance_uid=raw_keyword(source, "SOPInstanceUID"),
        instance_number=int(number) if number.isascii() and number.isdigit() else None,
        frame_number=frame_number,
    )
