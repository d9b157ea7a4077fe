"""What a note tells of a series: its reasons, and what its header calls it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from pydicom.dataset import Dataset

from dicomnode.decisions.reasons import Reason
from dicomnode.dicom_files.attributes import AttributeReader
from dicomnode.dicom_files.headers import read_source
from dicomnode.dicom_files.read_again import may_pass
from dicomnode.errors import DataError
from dicomnode.results.documents.note import SeriesNotAnalysed


def first_source(paths: Iterable[Path]) -> Dataset | None:
    """The header of the first file that can be read; None where none can.

    Raises:
        OSError: none can just now, and one perhaps later.
    """
    passing: OSError | None = None
    for path in paths:
        try:
            return read_source(path)
        except DataError:
            continue
        except OSError as error:
            passing = error if may_pass(error) else passing
    if passing is not None:
        raise passing
    return None


def series_not_analysed(
    series_instance_uid: str,
    source: Dataset | None,
    reasons: Sequence[Reason],
    *,
    instance_count: int,
    failed: bool,
    input_digest: str,
) -> SeriesNotAnalysed:
    """One series for a note."""
    read = AttributeReader(source or Dataset())
    return SeriesNotAnalysed(
        series_instance_uid=series_instance_uid,
        number=read.text("SeriesNumber"),
        description=read.text("SeriesDescription"),
        instance_count=instance_count,
        failed=failed,
        input_digest=input_digest,
        reasons=tuple(reasons),
    )
