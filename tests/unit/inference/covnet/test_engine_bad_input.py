"""Volumes that no textbook shows: findings, or a reason with its name."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from inference.bundles.bundle import load_bundle
from inference.covnet.engine import Engine
from inference.errors import NoLungsError
from inference.findings import Findings
from inference.lungs.finder import LungFinder
from inference.volume import CtVolume
from support.chest_volume import TISSUE_HU, chest
from support.untrained import make_untrained_bundle


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    made = load_bundle(make_untrained_bundle(tmp_path_factory.mktemp("bad") / "bundle"))
    settings = replace(made.card.preprocessing, size=32)  # type: ignore[type-var]
    small = replace(made, card=replace(made.card, preprocessing=settings))
    return Engine.load(small, "cpu", backend="torch")


def _is_whole(found: Findings) -> bool:
    cams = np.stack([a.cam for a in found.heat or ()])
    return bool(np.isfinite(cams).all()) and abs(sum(found.answer.scores) - 1) < 1e-9


def test_numbers_that_are_none_are_no_volume() -> None:
    with pytest.raises(ValueError, match="hu must be int16"):
        CtVolume(np.full((3, 8, 8), np.nan), np.eye(4))


@pytest.mark.parametrize("hu", [-1024, -850, 40, 3071, 32767])
@pytest.mark.parametrize("slices", [1, 20])
def test_a_constant_volume_holds_no_lungs(hu: int, slices: int) -> None:
    volume = CtVolume(np.full((slices, 64, 64), hu, np.int16), np.diag([5.0, 3.0, 3.0, 1.0]))
    with pytest.raises(NoLungsError, match=r"0\.0 ml found"):
        LungFinder().find(volume)


def test_noise_alone_holds_no_lungs() -> None:
    noise = np.random.default_rng(0).integers(-1024, 3000, (20, 64, 64)).astype(np.int16)
    with pytest.raises(NoLungsError):
        LungFinder().find(CtVolume(noise, np.diag([5.0, 3.0, 3.0, 1.0])))


@pytest.mark.parametrize("side", [-1, 1])
def test_one_lung_is_analysed(engine: Engine, side: int) -> None:
    drawn = chest((10.0, 3.0, 3.0))
    drawn.paint(drawn.lungs & (np.sign(drawn.x) == side), TISSUE_HU)
    lungs = LungFinder().find(drawn.volume()).mask
    assert _is_whole(engine.analyse(drawn.volume(), lungs))
    assert not (lungs & (np.sign(drawn.x) == side)).any()


@pytest.mark.parametrize(
    "spacing_mm",
    [
        pytest.param((13.0, 3.0, 3.0), id="20 slices"),
        pytest.param((260 / 1094, 6.0, 6.0), id="1094 slices", marks=pytest.mark.long),
        pytest.param((10.0, 1.0, 4.0), id="tall pixels"),
        pytest.param((10.0, 4.0, 1.0), id="wide pixels"),
    ],
)
def test_any_spacing_is_analysed(engine: Engine, spacing_mm: tuple[float, float, float]) -> None:
    drawn = chest(spacing_mm)
    found = engine.analyse(drawn.volume(), LungFinder().mask(drawn.volume()))
    assert _is_whole(found)
    with_lung = int(drawn.lungs.any(axis=(1, 2)).sum())
    assert 0.8 * with_lung < len(found.heat or ()) <= with_lung
