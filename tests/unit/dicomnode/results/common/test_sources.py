"""Of a source's header that is kept from decision to results, nothing is missing."""

from __future__ import annotations

from typing import Any

from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from dicomnode.decisions.result_options import AllSlices
from dicomnode.results.build import build_results, encode
from dicomnode.results.common.sources import as_source
from support.region_samples import COVID, region, regions
from support.result_samples import SLICES, context, source, with_settings


class Watched(Dataset):
    """Tells which attributes it was asked for."""

    asked: set[int]

    def __contains__(self, name: Any) -> bool:
        self.asked.add(int(Tag(name)))
        return super().__contains__(name)

    def get(self, key: Any, default: Any = None) -> Any:
        self.asked.add(int(Tag(key)))
        return super().get(key, default)


def test_what_results_ask_a_source_for_is_kept_of_it() -> None:
    sources = [Watched(source(index)) for index in range(SLICES)]
    asked: set[int] = set()
    for each in sources:
        each.asked = asked
        each.LossyImageCompression = "01"
    settings = with_settings(all_slices=AllSlices.JPEG).settings
    build_results(context(sources=sources, regions=regions(region(COVID, 0.75)), settings=settings))
    assert {tag for tag in asked if not kept(tag)} == set()
    assert len(asked) > 20


def kept(tag: int) -> bool:
    raw = RawDataElement(Tag(tag), "LO", 2, b"1 ", 0, False, True)
    return tag in as_source(Dataset({raw.tag: raw}))


def test_results_of_it_are_the_same() -> None:
    whole = [source(index) for index in range(SLICES)]
    for each in whole:
        each.ProtocolName = "not for results"
    few = [as_source(each) for each in whole]
    assert all("ProtocolName" not in each for each in few)
    assert bytes_of(sources=few) == bytes_of(sources=whole)


def bytes_of(**changes: Any) -> list[bytes]:
    return [encode(each) for each in build_results(context(**changes))]
