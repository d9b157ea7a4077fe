"""What a series is analysed with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dicomnode.config.settings import Settings
from dicomnode.methods.bundles import (
    Engines,
    model_names,
    models_digest,
    precision_here,
    precision_problems,
)
from inference.bundles.bundle import CARD, load_card
from inference.bundles.proof import PrecisionProof
from inference.demonstration import shipped_bundles
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


PROOF = PrecisionProof("openvino", "2026.4.1", "Any CPU", True, "9 scans", 9, 0.003, 0.001, 0)


class Site:
    """A node with one bundle for lungs and one method, of which cards alone are read."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def settings(self, asked: str = "auto", proofs: tuple[PrecisionProof, ...] = ()) -> Settings:
        for task, folder in shipped_bundles().items():
            (self._folder / task).mkdir(exist_ok=True)
            card = load_card(folder)
            own = tuple(replace(each, weights_sha256=card.weights_sha256) for each in proofs)
            card = replace(card, precision=own)
            (self._folder / task / CARD).write_text(card.as_toml(), encoding="utf-8")
        methods = [{"bundle": str(self._folder / "covnet")}]
        lungs = str(self._folder / "lungs")
        given = {"methods": methods, "lungs_bundle": lungs, "precision": asked, "device": "cpu"}
        return Settings.model_validate({"inference": given})


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.fixture
def amx(monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor that computes bfloat16 itself."""
    found = ("Any CPU", frozenset({"amx_bf16"}))
    monkeypatch.setattr("inference.backends.precision._processor", lambda: found)


@pytest.fixture
def no_amx(monkeypatch: pytest.MonkeyPatch) -> None:
    found = ("Any CPU", frozenset({"avx2"}))
    monkeypatch.setattr("inference.backends.precision._processor", lambda: found)


@pytest.mark.usefixtures("amx")
def test_the_models_digest_turns_on_the_precision_that_is_used(site: Site) -> None:
    plain = models_digest(site.settings())
    assert models_digest(site.settings("auto", (PROOF,))) != plain
    assert models_digest(site.settings("f32", (PROOF,))) == plain
    unfit = replace(PROOF, classes_changed=1)
    assert models_digest(site.settings("auto", (unfit,))) == plain


@pytest.mark.usefixtures("amx")
def test_the_names_of_models_do_not_turn_on_what_a_machine_computes_in(site: Site) -> None:
    plain = model_names(site.settings())
    assert set(plain) == {"covnet", "lungs"}
    assert model_names(site.settings("auto", (PROOF,))) == plain


@pytest.mark.usefixtures("no_amx")
def test_a_proof_changes_nothing_where_it_is_not_used(site: Site) -> None:
    assert models_digest(site.settings("auto", (PROOF,))) == models_digest(site.settings())


@pytest.mark.usefixtures("no_amx")
def test_what_bf16_lacks_is_told_for_each_bundle(site: Site) -> None:
    settings = site.settings("bf16")
    cards = [load_card(folder) for _, folder in settings.inference.bundles]
    hardware = "the processor has no instructions for bfloat16 (AMX-BF16 or AVX512-BF16)"
    proof = "its card has no proof for the engine openvino that is within its tolerance"
    assert precision_problems(cards, settings) == (
        f"bf16: COVNet demonstration 0.1: {hardware}; {proof}",
        f"bf16: Lungs demonstration 0.1: {hardware}; {proof}",
    )
    assert precision_problems(cards, site.settings("auto")) == ()


@pytest.mark.usefixtures("amx")
def test_what_is_computed_in_is_told_for_a_person(site: Site) -> None:
    def told(asked: str, *proofs: PrecisionProof) -> str:
        settings = site.settings(asked, proofs)
        return precision_here(load_card(settings.inference.bundles[0][1]), settings)

    assert told("auto", PROOF) == told("bf16", PROOF) == "bf16 on openvino"
    assert told("f32", PROOF) == "f32 on openvino"
    assert told("auto").startswith("f32 on openvino; bf16: its card has no proof")
    assert told("bf16").startswith("not on openvino; bf16: its card has no proof")
