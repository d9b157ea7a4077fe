from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from inference.bundles.bundle import CARD, Bundle, load_bundle, load_card, weights_problems
from inference.bundles.bundle_writer import WEIGHTS, put_bundle
from inference.covnet.preprocess import Preprocessing
from inference.errors import BundleError
from inference.findings import Training
from support.untrained import make_untrained_bundle


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_untrained_bundle(tmp_path_factory.mktemp("bundles") / "untrained")


@pytest.fixture(scope="module")
def bundle(made: Path) -> Bundle:
    return load_bundle(made)


def _linked(made: Path, folder: Path) -> Path:
    """The bundle again in another folder; its files are the same on disk."""
    folder.mkdir()
    for path in made.iterdir():
        os.link(path, folder / path.name)
    return folder


def test_the_untrained_bundle_says_what_it_is(bundle: Bundle) -> None:
    assert bundle.card.training is Training.UNTRAINED
    assert bundle.card.identity.warning == "UNTRAINED WEIGHTS – no clinical meaning"
    assert len(bundle.card.classes) == 3


def test_the_seed_decides_the_weights(bundle: Bundle, tmp_path: Path) -> None:
    other = load_bundle(make_untrained_bundle(tmp_path / "other", seed=1))
    assert other.card.weights_sha256 != bundle.card.weights_sha256
    assert other.card.version != bundle.card.version


def test_a_folder_with_other_things_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "notes.txt").write_text("keep")
    with pytest.raises(BundleError, match="cannot be made"):
        make_untrained_bundle(folder)
    assert [path.name for path in tmp_path.rglob("*")] == ["mine", "notes.txt"]


def test_a_bundle_that_is_there_is_not_replaced(made: Path) -> None:
    before = (made / WEIGHTS).stat().st_mtime_ns, (made / CARD).read_bytes()
    with pytest.raises(BundleError, match="cannot be made"):
        make_untrained_bundle(made, seed=5)
    assert ((made / WEIGHTS).stat().st_mtime_ns, (made / CARD).read_bytes()) == before
    assert [path.name for path in made.parent.iterdir()] == ["untrained"]


def test_a_changed_byte_of_the_weights_is_found(made: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(made, tmp_path / "copy")
    with (copy / WEIGHTS).open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\x01")
    with pytest.raises(BundleError, match=r"sha256 is .*, the card says"):
        load_bundle(copy)


@pytest.mark.parametrize("name", [CARD, WEIGHTS])
def test_a_missing_file_is_named(made: Path, tmp_path: Path, name: str) -> None:
    copy = _linked(made, tmp_path / "copy")
    (copy / name).unlink()
    with pytest.raises(BundleError, match=f"{name}: No such file"):
        load_bundle(copy)


def test_a_card_whose_weights_are_no_safetensors(bundle: Bundle, tmp_path: Path) -> None:
    data = b"not safetensors"
    card = replace(bundle.card, weights_sha256=hashlib.sha256(data).hexdigest())
    (tmp_path / WEIGHTS).write_bytes(data)
    (tmp_path / CARD).write_text(card.as_toml())
    with pytest.raises(BundleError, match=r"weights\.safetensors is not safetensors"):
        load_bundle(tmp_path)


def test_every_difference_of_the_parameters_is_named(bundle: Bundle) -> None:
    weights = dict(bundle.weights)
    del weights["conv1.weight"]
    weights["extra.weight"] = torch.zeros(1)
    weights["bn1.bias"] = torch.zeros(65)
    weights["bn1.weight"] = weights["bn1.weight"].half()
    weights["fc.bias"] = torch.tensor([0.0, float("nan"), 0.0])
    assert set(weights_problems(weights, classes=3)) == {
        "parameter conv1.weight is missing",
        "parameter extra.weight is unknown",
        "bn1.bias is (65,), not (64,)",
        "bn1.weight is torch.float16, not torch.float32",
        "fc.bias holds values that are not finite",
    }


def test_as_many_classes_as_outputs(made: Path, bundle: Bundle, tmp_path: Path) -> None:
    copy = _linked(made, tmp_path / "copy")
    (copy / CARD).unlink()
    (copy / CARD).write_text(replace(bundle.card, classes=("a", "b", "c", "d")).as_toml())
    with pytest.raises(BundleError) as caught:
        load_bundle(copy)
    assert caught.value.problems == (
        "fc.weight is (3, 2048), not (4, 2048)",
        "fc.bias is (3,), not (4,)",
    )


def test_the_digest_covers_what_changes_results_and_not_the_prose(bundle: Bundle) -> None:
    def digest(**changes: object) -> str:
        return replace(bundle.card, **changes).digest  # type: ignore[arg-type]

    own = bundle.card.digest
    assert load_card(bundle.folder).digest == own
    wider = Preprocessing(hu_high=300.0)
    assert digest(intended_use="Another sentence.", licence="MIT") == own
    changed = [
        digest(preprocessing=wider),
        digest(classes=("x", "y", "z")),
        digest(weights_sha256="1" * 64),
        digest(training=Training.PATIENTS),
        digest(version="9"),
    ]
    assert len({own, *changed}) == 6


def test_weights_in_half_precision_are_widened(bundle: Bundle, tmp_path: Path) -> None:
    """As the demonstration bundles are kept: half the bytes, the same network."""
    narrow = {name: w.half() if w.ndim > 1 else w for name, w in bundle.weights.items()}
    put_bundle(tmp_path / "half", bundle.card, narrow)
    again = load_bundle(tmp_path / "half")
    assert all(again.weights[name].dtype == w.dtype for name, w in bundle.weights.items())
    assert all(
        torch.equal(again.weights[name], narrow[name].to(w.dtype))
        for name, w in bundle.weights.items()
    )
    sizes = [(folder / WEIGHTS).stat().st_size for folder in (tmp_path / "half", bundle.folder)]
    assert sizes[0] < 0.51 * sizes[1]
