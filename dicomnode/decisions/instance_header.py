"""The attributes of one slice that decisions read, already of the right type or None.

A slice is an instance, or a frame of a multi-frame one (PS3.3 C.7.6.16).

Values that were present but unusable are named in `problems`; nothing here raises on bad data
(`dicomnode/dicom_files/headers.py` reads it from a data set).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from dicomnode.decisions.patient_attributes import PatientAttributes

Vector = tuple[float, float, float]
Texts = tuple[tuple[str, str], ...]
"""Keyword in snake_case and text, of attributes that may occur several times."""
SliceKey = tuple[str, int | None]
"""SOP Instance UID and frame number."""


@dataclass(frozen=True)
class InstanceHeader:
    """Fields bear the keyword of their attribute (PS3.6) in snake_case, and are read by it."""

    sop_instance_uid: str
    sop_class_uid: str
    series_instance_uid: str
    study_instance_uid: str
    transfer_syntax_uid: str
    patient: PatientAttributes = field(default_factory=PatientAttributes)
    modality: str = ""
    made_here: bool = False  # Manufacturer (0008,0070) is that of this product
    manufacturer: str = ""
    manufacturer_model_name: str = ""
    convolution_kernel: str = ""
    image_type: tuple[str, ...] = ()
    instance_number: int | None = None
    rows: int | None = None
    columns: int | None = None
    number_of_frames: int = 1
    frame_number: int | None = None  # from 1; None for an instance that is one slice by itself
    samples_per_pixel: int | None = None
    pixel_spacing: tuple[float, float] | None = None  # mm between rows, between columns
    slice_thickness: float | None = None  # mm
    spacing_between_slices: float | None = None  # mm between centres; may be negative
    image_position_patient: Vector | None = None  # LPS mm
    image_orientation_patient: tuple[float, float, float, float, float, float] | None = None
    frame_of_reference_uid: str = ""
    rescale_slope: float | None = None
    rescale_intercept: float | None = None
    rescale_type: str = ""  # empty means HU in a CT Image (PS3.3 C.8.2.1)
    gantry_detector_tilt: float | None = None  # degrees
    acquisition_number: int | None = None
    acquisition_time: str = ""  # Acquisition DateTime where there is one
    kvp: float | None = None  # kV
    temporal_position: str = ""
    cardiac_phase: str = ""  # Nominal Percentage of Cardiac Phase
    contrast_phase: str = ""  # Contrast/Bolus Agent Phase
    stack_id: str = ""
    volume_technique: str = ""  # Volume Based Calculation Technique
    series_description: str = ""
    study_description: str = ""
    protocol_name: str = ""
    requested_procedure_description: str = ""
    performed_procedure_step_description: str = ""
    image_comments: str = ""
    labels: tuple[tuple[str, str], ...] = ()  # of `stack.attributes.LABELS`: keyword and value
    contrast_bolus_agent: str = ""
    contrast_bolus_route: str = ""
    contrast_bolus_volume: str = ""
    contrast_bolus_start_time: str = ""
    contrast_flow_rate: str = ""
    contrast_bolus_agent_sequence: bool = False  # has at least one item
    contrast_told: Texts = ()  # the other attributes of contrast, also those within sequences
    descriptions: Texts = ()  # the other descriptions, also those within sequences
    multi_energy: bool = False  # Multi-energy CT Acquisition
    energy_kev: float | None = None  # Monoenergetic Energy Equivalent
    real_world_units: tuple[str, ...] = ()  # of each Real World Value Mapping
    irradiation_event_uid: str = ""  # several are joined by a backslash
    phantom_signs: tuple[str, ...] = ()  # attributes that tell a phantom, never their text
    number_of_series_related_instances: int | None = None
    images_in_acquisition: int | None = None
    concatenation_uid: str = ""
    in_concatenation_total_number: int | None = None
    has_pixel_data: bool = False
    pixel_data_sha256: str = ""  # only of slices that may be copies of each other
    problems: tuple[str, ...] = ()

    @property
    def slice_key(self) -> SliceKey:
        """What no other slice of a series bears: an instance may hold several slices."""
        return self.sop_instance_uid, self.frame_number

    def label(self, keyword: str) -> str:
        """The value of one of `labels`, or ""."""
        return self._labels.get(keyword, "")

    @cached_property
    def _labels(self) -> dict[str, str]:
        """`labels` to be looked up: a decision asks tens of them of each slice, many times."""
        return dict(self.labels)
