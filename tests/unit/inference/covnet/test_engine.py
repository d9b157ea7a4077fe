from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from inference.bundles.bundle import Bundle, load_bundle
from inference.covnet.engine import Engine
from inference.covnet.network import Covnet
from inference.covnet.preprocess import Preprocessing, prepare
from inference.errors import DeviceError, NetworkOutputError, NoLungsError
from inference.findings import Findings
from inference.lungs.thresholds import segment_lungs
from inference.volume import CtVolume
from support.chest_volume import chest
from support.untrained import make_untrained_bundle

SMALL = Preprocessing(size=96)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """The untrained weights, at a size that keeps the tests quick."""
    made = load_bundle(make_untrained_bundle(tmp_path_factory.mktemp("engine") / "bundle"))
    return replace(made, card=replace(made.card, preprocessing=SMALL))


@pytest.fixture(scope="module")
def engine(bundle: Bundle) -> Engine:
    return Engine.load(bundle, device="cpu")


@pytest.fixture(scope="module")
def volume() -> CtVolume:
    return chest((10.0, 2.0, 2.0)).volume()


@pytest.fixture(scope="module")
def findings(engine: Engine, volume: CtVolume) -> Findings:
    return engine.analyse(volume, segment_lungs(volume))


def _cams(findings: Findings) -> NDArray[np.float32]:
    return np.stack([a.cam for a in findings.heat or ()])


def test_the_engine_bears_the_bundles_identity(engine: Engine, bundle: Bundle) -> None:
    assert engine.identity == bundle.card.identity
    assert engine.device == "cpu"


def test_findings_are_whole(findings: Findings, volume: CtVolume) -> None:
    assert findings.answer.names == ("COVID-19", "community-acquired pneumonia", "non-pneumonia")
    assert sum(findings.answer.scores) == pytest.approx(1.0, abs=1e-12)
    assert set(findings.seconds) == {"preprocess", "network", "heatmap"}
    assert all(seconds > 0 for seconds in findings.seconds.values())
    indices = [a.slice_index for a in findings.heat or ()]
    assert indices == sorted(indices)
    assert segment_lungs(volume)[indices].any(axis=(1, 2)).all()


def test_untrained_weights_do_not_saturate(findings: Findings) -> None:
    assert max(findings.answer.scores) < 0.95
    assert min(findings.answer.scores) > 0.005


def test_activations_are_normalised_over_the_series(findings: Findings) -> None:
    cams = _cams(findings)
    assert cams.dtype == np.float32
    assert cams.shape[1:] == (3, 3)
    assert (cams.min(), cams.max()) == (0.0, 1.0)
    assert sum(a.share for a in findings.heat or ()) == pytest.approx(1.0, abs=1e-5)
    assert findings.ranked[0].share == max(a.share for a in findings.heat or ())


def test_the_same_volume_gives_the_same_numbers(
    engine: Engine, volume: CtVolume, findings: Findings
) -> None:
    again = engine.analyse(volume, segment_lungs(volume))
    assert again.answer.scores == findings.answer.scores
    assert np.array_equal(_cams(again), _cams(findings))


def test_equal_to_the_plain_network(bundle: Bundle, volume: CtVolume, findings: Findings) -> None:
    """Folded, in batches and channels last, against the network as it is written."""
    network = Covnet().eval()
    network.load_state_dict(dict(bundle.weights))
    images = prepare(volume, segment_lungs(volume), SMALL).images
    with torch.no_grad():
        wanted = torch.softmax(network(images), dim=0)
    assert findings.answer.scores == pytest.approx(wanted.tolist(), rel=1e-3)


def test_progress_tells_of_every_slice(engine: Engine, volume: CtVolume) -> None:
    told: list[tuple[str, int, int]] = []
    found = engine.analyse(volume, segment_lungs(volume), lambda *step: told.append(step))
    slices = len(found.heat or ())
    done = [step[1] for step in told if step[0] == "network"]
    assert done[0] == 0
    assert done[-1] == slices
    assert done == sorted(done)


def test_a_volume_without_lungs_is_refused(engine: Engine) -> None:
    water = CtVolume(np.zeros((4, 64, 64), np.int16), np.diag([5.0, 1.0, 1.0, 1.0]))
    with pytest.raises(NoLungsError):
        engine.analyse(water, np.zeros(water.hu.shape, np.bool_))


def test_numbers_that_are_no_probabilities_are_a_named_error(
    bundle: Bundle, volume: CtVolume
) -> None:
    huge = dict(bundle.weights) | {"fc.weight": torch.full((3, 2048), 3e38)}
    broken = Engine.load(replace(bundle, weights=huge), device="cpu")
    with pytest.raises(NetworkOutputError, match="nan"):
        broken.analyse(volume, segment_lungs(volume))


def test_weights_without_positive_evidence_give_an_empty_heatmap(
    bundle: Bundle, volume: CtVolume
) -> None:
    against = dict(bundle.weights) | {"fc.weight": torch.full((3, 2048), -0.01)}
    blind = Engine.load(replace(bundle, weights=against), device="cpu")
    found = blind.analyse(volume, segment_lungs(volume))
    assert _cams(found).max() == 0.0
    assert len({a.share for a in found.heat or ()}) == 1


def test_loading_does_not_change_the_bundle(bundle: Bundle, engine: Engine) -> None:
    fresh = load_bundle(bundle.folder)
    assert all(torch.equal(fresh.weights[name], bundle.weights[name]) for name in fresh.weights)
    assert engine.device == "cpu"


def test_threads_are_set_for_the_process(bundle: Bundle) -> None:
    before = torch.get_num_threads()
    try:
        Engine.load(bundle, device="cpu", threads=before + 1)
        assert torch.get_num_threads() == before + 1
    finally:
        torch.set_num_threads(before)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_gpu_asked_for_and_absent_is_a_named_error(bundle: Bundle) -> None:
    with pytest.raises(DeviceError, match="no CUDA GPU"):
        Engine.load(bundle, device="cuda")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no GPU")
def test_a_gpu_agrees_with_the_processor(
    bundle: Bundle, volume: CtVolume, findings: Findings
) -> None:
    found = Engine.load(bundle, device="cuda").analyse(volume, segment_lungs(volume))
    assert found.answer.scores == pytest.approx(findings.answer.scores, rel=1e-3)
    assert _cams(found) == pytest.approx(_cams(findings), abs=1e-2)
