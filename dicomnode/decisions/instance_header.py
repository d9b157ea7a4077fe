"""The attributes of one instance that decisions read, already of the right type or None.

Values that were present but unusable are named in `problems`; nothing here raises on bad data
(`dicomnode/headers.py` reads it from a data set).
"""

from __future__ import annotations

from dataclasses import dataclass

Vector = tuple[float, float, float]


@dataclass(frozen=True)
class InstanceHeader:
    """Fields bear the keyword of their attribute (PS3.6) in snake_case."""

    sop_instance_uid: str
    sop_class_uid: str
    series_instance_uid: str
    study_instance_uid: str
    transfer_syntax_uid: str
    modality: str = ""
    manufacturer: str = ""
    manufacturer_model_name: str = ""
    convolution_kernel: str = ""
    image_type: tuple[str, ...] = ()
    instance_number: int | None = None
    rows: int | None = None
    columns: int | None = None
    number_of_frames: int = 1
    samples_per_pixel: int | None = None
    pixel_spacing: tuple[float, float] | None = None  # mm between rows, between columns
    slice_thickness: float | None = None  # mm
    image_position_patient: Vector | None = None  # LPS mm
    image_orientation_patient: tuple[float, float, float, float, float, float] | None = None
    frame_of_reference_uid: str = ""
    rescale_slope: float | None = None
    rescale_intercept: float | None = None
    rescale_type: str = ""  # empty means HU in a CT Image (PS3.3 C.8.2.1)
    gantry_detector_tilt: float | None = None  # degrees
    contrast_bolus_agent: str = ""
    contrast_bolus_route: str = ""
    contrast_bolus_volume: str = ""
    contrast_bolus_start_time: str = ""
    contrast_flow_rate: str = ""
    contrast_bolus_agent_sequence: bool = False  # has at least one item
    has_pixel_data: bool = False
    problems: tuple[str, ...] = ()
