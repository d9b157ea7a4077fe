"""The bytes of a result object."""

from __future__ import annotations

from io import BytesIO

import pydicom

from dicomnode.results.common.context import ResultObject


def encode(result: ResultObject) -> bytes:
    """The whole Part 10 file (PS3.10 section 7) in the transfer syntax that its kind has.

    The same object gives the same bytes in every process.
    """
    buffer = BytesIO()
    pydicom.dcmwrite(buffer, result.data_set, enforce_file_format=True)
    return buffer.getvalue()
