from __future__ import annotations

import numpy as np
import pytest

from inference.errors import NoLungsError
from inference.lungs.finder import LungFinder
from inference.lungs.thresholds import segment_lungs
from inference.volume import CtVolume
from support.chest_volume import chest


def test_the_classical_method_alone_has_nothing_to_be_checked_by() -> None:
    volume = chest((20.0, 4.0, 4.0)).volume()
    told: list[tuple[str, int, int]] = []
    found = LungFinder().find(volume, lambda *step: told.append(step))
    assert (found.mask == segment_lungs(volume)).all()
    assert (found.model, found.classical_dice) == (None, None)
    assert found.seconds > 0
    assert told == [("lungs", 0, 1), ("lungs", 1, 1)]


def test_a_volume_without_lungs_is_refused() -> None:
    water = CtVolume(np.zeros((4, 64, 64), np.int16), np.diag([5.0, 1.0, 1.0, 1.0]))
    with pytest.raises(NoLungsError):
        LungFinder().find(water)
