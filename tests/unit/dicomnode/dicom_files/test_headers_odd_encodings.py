"""What scanners, archives and gateways write: read, identified and decoded like the plain slice."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import UID

from dicomnode.decisions.instance_header import InstanceHeader
from dicomnode.dicom_files.headers import read_header_file, read_headers_file, read_with_pixels
from dicomnode.dicom_files.identity import data_set_sha256, identify, identify_file
from dicomnode.dicom_files.pixels import decode_hu
from support.odd_files import WAYS
from support.phantom import write_series


def meaning(header: InstanceHeader) -> InstanceHeader:
    """Without what a way may change though the slice stays the same."""
    return replace(header, transfer_syntax_uid="", rescale_intercept=0.0)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_series(tmp_path_factory.mktemp("plain"), slices=1)[0]


@pytest.fixture(scope="module")
def slice_of_it(plain: Path) -> Dataset:
    return dcmread(plain)


@pytest.mark.parametrize("way", WAYS)
def test_it_says_and_shows_what_the_plain_slice_does(
    tmp_path: Path, plain: Path, slice_of_it: Dataset, way: str
) -> None:
    odd = tmp_path / "odd.dcm"
    odd.write_bytes(WAYS[way](slice_of_it))
    header, usual = read_header_file(odd), read_header_file(plain)
    assert meaning(header) == meaning(usual)
    assert header.problems == ()
    assert read_headers_file(odd) == (header,)
    hu = decode_hu(*read_with_pixels(odd))
    assert np.array_equal(hu, decode_hu(*read_with_pixels(plain)))


@pytest.mark.parametrize("way", WAYS)
def test_it_is_identified_on_the_wire_and_in_its_file(
    tmp_path: Path, plain: Path, slice_of_it: Dataset, way: str
) -> None:
    odd = tmp_path / "odd.dcm"
    odd.write_bytes(WAYS[way](slice_of_it))
    identity, meta = identify_file(odd)
    assert identity == identify_file(plain)[0]
    whole = odd.read_bytes()
    data_set = whole[144 + int.from_bytes(whole[140:144], "little") :]
    assert identify(data_set, UID(meta.TransferSyntaxUID)) == identity
    assert data_set_sha256(odd) == hashlib.sha256(data_set).hexdigest()
