from __future__ import annotations

from dataclasses import replace

import pytest
from pydicom.uid import UID

from dicomnode.results.uids import UidSeed, derived_uid, instances_digest, model_digest

SEED = UidSeed("1.2.3", "aa", "bb", "cc")


def test_a_uid_never_changes() -> None:
    """Golden values: another one would make every PACS hold two results for one series."""
    assert SEED.uid("sr", "1.2") == "2.25.103806608413559396474412419684383077361"
    assert derived_uid("a") == "2.25.322948033054731657084363185504614022440"


def test_a_uid_is_valid() -> None:
    uid = UID(SEED.uid("sc", "1.2", "1.2.3.4"))
    assert uid.is_valid
    assert uid.startswith("2.25.")


@pytest.mark.parametrize(
    "field",
    ["source_series_uid", "source_digest", "model_digest", "configuration_digest", "revision"],
)
def test_every_field_of_the_seed_counts(field: str) -> None:
    other = replace(SEED, **{field: 1 if field == "revision" else "9"})  # type: ignore[arg-type]
    assert other.uid("sr", "1.2") != SEED.uid("sr", "1.2")


def test_kind_class_and_source_count() -> None:
    uids = {
        SEED.uid(*parts) for parts in [("sr", "1"), ("sc", "1"), ("sr", "2"), ("sr", "1", "1.5")]
    }
    assert len(uids) == 4


def test_parts_are_kept_apart() -> None:
    assert derived_uid("ab", "c") != derived_uid("a", "bc")


def test_order_and_repetition_of_instances_do_not_matter() -> None:
    first, second = ("1.1", "aa"), ("1.2", "bb")
    assert instances_digest([second, first]) == instances_digest([first, second, first])
    assert instances_digest([first]) != instances_digest([first, second])
    assert instances_digest([first]) != instances_digest([("1.1", "bb")])


def test_model_digest_names_weights() -> None:
    assert model_digest("m", "1", "a") != model_digest("m", "1", "b")
