"""What a peer does not take is told in words of one reading."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import SegmentationStorage

from dicomnode.errors import PeerCause, PeerError
from dicomnode.network.associations import c_store


def _association(*accepted: str) -> Any:
    def send_c_store(_what: object) -> Dataset:
        raise ValueError("No presentation context for 'Segmentation Storage' has been accepted …")

    contexts = [SimpleNamespace(abstract_syntax=each) for each in accepted]
    return SimpleNamespace(accepted_contexts=contexts, send_c_store=send_c_store)


def test_a_class_that_a_peer_does_not_accept_is_named_in_few_words() -> None:
    data_set = Dataset()
    data_set.SOPClassUID = SegmentationStorage
    with pytest.raises(PeerError) as refused:
        c_store(_association(), data_set)
    assert refused.value.cause is PeerCause.NOT_ACCEPTED
    told = "C-STORE not possible: the peer does not accept Segmentation Storage"
    assert str(refused.value) == told
    with pytest.raises(PeerError) as ours:
        c_store(_association(SegmentationStorage), data_set)
    assert ours.value.cause is PeerCause.OURS
