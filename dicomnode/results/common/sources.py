"""What result objects are made of, of the header of an analysed slice.

A tenth of the header, so that those of a whole series can be kept from the reading for the
decision until results are built.
"""

from __future__ import annotations

from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset

from dicomnode.results.common.patient import READ_OF_SOURCES

_OF_THE_SLICE = (
    *("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "InstanceNumber"),
    *("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod"),
)
_TAGS = frozenset(tag_for_keyword(each) for each in (*READ_OF_SOURCES, *_OF_THE_SLICE))


def as_source(header: Dataset) -> Dataset:
    """The same elements as they were received, those alone that results are made of."""
    source = Dataset()
    for tag in header.keys():  # noqa: SIM118 - iterating a Dataset converts its elements
        if tag in _TAGS:
            source[tag] = header.get_item(tag, keep_deferred=True)
    implicit, little = header.original_encoding
    source.set_original_encoding(implicit, little, header.original_character_set)
    return source
