"""What a series is analysed with."""

from __future__ import annotations

import pytest

from dicomnode.methods.bundles import Engines
from inference.findings import Findings, MethodTitle, ModelIdentity, Training
from inference.lungs.finder import LungFinder


class Named:
    """A method that is only asked who it is."""

    identity = ModelIdentity("Any", "1", "ab" * 32, Training.PATIENTS)

    def __init__(self, key: str) -> None:
        self.title = MethodTitle(key, "any search", "by search")

    def analyse(self, *_: object) -> Findings:
        raise AssertionError("not asked for")


def test_methods_of_one_key_are_refused_for_results_could_not_tell_them_apart() -> None:
    assert Engines(LungFinder(), (Named("a"), Named("b")), "").identities
    with pytest.raises(ValueError, match="two methods have the same key: a, b, a"):
        Engines(LungFinder(), (Named("a"), Named("b"), Named("a")), "")
