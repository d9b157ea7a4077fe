"""Any number of distinct instances of a real CT, each made by stamping UIDs into encoded bytes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from support.data import PHILIPS

_STUDY, _SERIES, _INSTANCE = (f"2.25.{kind}" + "0" * 29 + "7" for kind in (1, 2, 3))
_META_START = 144  # preamble, prefix, group length element (PS3.10 section 7.1)


@dataclass(frozen=True)
class Stamped:
    """One instance: its data set as it is sent, and what a Part 10 file has before it."""

    sop_instance_uid: str
    series_instance_uid: str
    head: bytes
    data_set: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data_set).hexdigest()

    def write(self, path: Path) -> None:
        path.write_bytes(self.head + self.data_set)


class Template:
    """One encoded instance (Explicit VR Little Endian) and the places of its UIDs."""

    def __init__(self, data_set: Dataset) -> None:
        self._encoded = _encoded(data_set)
        self._data_set_at = _META_START + int.from_bytes(self._encoded[140:144], "little")
        self._places = {uid: _places(self._encoded, uid) for uid in (_STUDY, _SERIES, _INSTANCE)}

    def instance(self, number: int, series: int) -> Stamped:
        """Instance `number` (of all that are made), in series `series`; each a study of its own."""
        content = bytearray(self._encoded)
        wanted = {_STUDY: series, _SERIES: series, _INSTANCE: number}
        for uid, places in self._places.items():
            stamp = _stamp(uid, wanted[uid]).encode()
            for place in places:
                content[place : place + len(stamp)] = stamp
        head, data_set = content[: self._data_set_at], content[self._data_set_at :]
        uids = _stamp(_INSTANCE, number), _stamp(_SERIES, series)
        return Stamped(*uids, bytes(head), bytes(data_set))


def _stamp(uid: str, number: int) -> str:
    return f"{uid[:6]}{number:030d}"


def _places(encoded: bytes, uid: str) -> list[int]:
    """Where it stands: an instance's UID in the file meta information too."""
    first = encoded.index(uid.encode())
    second = encoded.find(uid.encode(), first + 1)
    return [first] if second < 0 else [first, second]


def _encoded(data_set: Dataset) -> bytes:
    data_set.StudyInstanceUID, data_set.SeriesInstanceUID = _STUDY, _SERIES
    data_set.SOPInstanceUID = data_set.file_meta.MediaStorageSOPInstanceUID = UID(_INSTANCE)
    data_set.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    buffer = BytesIO()
    data_set.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def real_slices(limit: int = len(PHILIPS)) -> list[Template]:
    """The slices of the Philips chest CT, uncompressed: 512 KiB each."""
    return [Template(_uncompressed(path)) for path in PHILIPS[:limit]]


def small_slice() -> Template:
    """Every 16th pixel of a real slice: 32 x 32 pixels with its whole header, some 4 KB."""
    data_set = _uncompressed(PHILIPS[0])
    pixels = data_set.pixel_array[::16, ::16]
    data_set.Rows, data_set.Columns = pixels.shape
    data_set.PixelData = pixels.tobytes()
    return Template(data_set)


def _uncompressed(path: Path) -> Dataset:
    data_set = pydicom.dcmread(path)
    data_set.decompress(generate_instance_uid=False)
    return data_set
