from __future__ import annotations

from pydicom.uid import UID

from dicomnode.results.common.uids import derived_uid, instances_digest, model_digest


def test_a_uid_never_changes() -> None:
    """A golden value: the device, the studies without a UID and all results hang on it."""
    assert derived_uid("a") == "2.25.322948033054731657084363185504614022440"


def test_a_uid_is_valid() -> None:
    uid = UID(derived_uid("result", "1.2", "1.2.3.4"))
    assert uid.is_valid
    assert uid.startswith("2.25.")


def test_parts_are_kept_apart() -> None:
    assert derived_uid("ab", "c") != derived_uid("a", "bc")


def test_order_and_repetition_of_instances_do_not_matter() -> None:
    first, second = ("1.1", "aa"), ("1.2", "bb")
    assert instances_digest([second, first]) == instances_digest([first, second, first])
    assert instances_digest([first]) != instances_digest([first, second])
    assert instances_digest([first]) != instances_digest([("1.1", "bb")])


def test_model_digest_names_weights() -> None:
    assert model_digest("m", "1", "a") != model_digest("m", "1", "b")
