"""The configuration file: the example holds every key at its default; wrong keys are named."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from dicomnode.config import Settings, load_settings
from dicomnode.errors import ConfigurationError
from inference.demonstration import shipped_bundles

UNSET = {
    ".eligibility.max_slice_spacing_mm",
    ".delivery.retry.most_attempts",
    ".retention.analysed_days",
    ".retention.skipped_days",
    ".retention.failed_days",
    ".query.peer",
}
EXAMPLE = Path(__file__).resolve().parents[3] / "etc" / "dicomnode.toml"


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "dicomnode.toml"
    path.write_text(text)
    return path


def keys(value: Any, prefix: str = "") -> set[str]:
    if not isinstance(value, dict):
        return {prefix}
    return {leaf for key, each in value.items() for leaf in keys(each, f"{prefix}.{key}")}


def test_the_example_names_every_key_and_only_those() -> None:
    defaults = TypeAdapter(Settings).dump_python(Settings(), mode="json")
    example = tomllib.loads(EXAMPLE.read_text())
    example.pop("destinations")
    defaults.pop("destinations")
    assert keys(example) | UNSET == keys(defaults)


def test_the_keys_that_are_unset_by_default_stand_in_the_example_as_comments() -> None:
    for key in UNSET:
        assert f"# {key.rpartition('.')[2]} = " in EXAMPLE.read_text()


def test_the_example_holds_the_defaults() -> None:
    example = tomllib.loads(EXAMPLE.read_text())
    example.pop("destinations")
    assert Settings.model_validate(example) == Settings()


def test_the_example_is_a_valid_configuration() -> None:
    settings = load_settings(EXAMPLE)
    assert settings.destinations[0].ae_title
    assert settings.node.data_directory.is_absolute()


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[node]\nae_titel = 'X'", "node.ae_titel"),
        ("[node]\nae_title = 'SEVENTEEN_LETTERS'", "node.ae_title"),
        ("[node]\nae_title = 'A\\\\B'", "node.ae_title"),
        ("[receive]\nport = 70000", "receive.port"),
        ("[eligibility]\nmax_slice_thickness_mm = 'thin'", "eligibility.max_slice_thickness_mm"),
        ("[eligibility]\nmax_slice_thicknes_mm = 3", "eligibility.max_slice_thicknes_mm"),
        ("[[destinations]]\nname = 'pacs'", "destinations.0.ae_title"),
        ("[node", "dicomnode.toml"),
    ],
)
def test_a_wrong_key_is_refused_by_its_name(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(written(tmp_path, text))
    assert named in str(caught.value)


def test_two_destinations_of_one_name_are_refused(tmp_path: Path) -> None:
    one = "[[destinations]]\nname='p'\nae_title='P'\naddress='h'\nport=104\n"
    with pytest.raises(ConfigurationError, match="same name"):
        load_settings(written(tmp_path, one + one))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"absent\.toml"):
        load_settings(tmp_path / "absent.toml")


def test_relative_folders_are_taken_from_the_file(tmp_path: Path) -> None:
    settings = load_settings(written(tmp_path, "[node]\ndata_directory = 'd'"))
    assert settings.node.data_directory == tmp_path / "d"
    assert settings.database_url == f"sqlite:///{tmp_path / 'd' / 'node.sqlite3'}"


def test_the_peer_that_is_asked_for_counts_has_its_certificates_beside_the_file(
    tmp_path: Path,
) -> None:
    peer = "{ name = 'pacs', ae_title = 'PACS', address = 'h', port = 104, tls = { peer_ca = 'c' }}"
    settings = load_settings(written(tmp_path, f"[query]\npeer = {peer}"))
    assert settings.query.peer is not None
    assert settings.query.peer.tls is not None
    assert settings.query.peer.tls.peer_ca == str(tmp_path / "c")
    assert load_settings(written(tmp_path, "")).query.peer is None


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[completeness]\nincomplete = 'forget'", "completeness.incomplete"),
        ("[completeness]\nincomplete_after_seconds = -1", "incomplete_after_seconds"),
        ("[query]\nevery_seconds = 0.1", "query.every_seconds"),
        ("[query]\npeer = { name = 'pacs' }", "query.peer.ae_title"),
    ],
)
def test_how_completeness_is_judged_is_checked_too(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        load_settings(written(tmp_path, text))


@pytest.mark.parametrize(
    ("text", "own"),
    [
        ("", {}),
        ('lungs_bundle = "mine"', {"lungs": "mine"}),
        ('bundle = "a"', {"covnet": "a"}),
        ('bundle = "a"\nregions_bundle = "b"', {"covnet": "a", "regions": "b"}),
    ],
)
def test_the_demonstration_bundles_stand_in_only_where_none_is_named_for_covnet(
    tmp_path: Path, text: str, own: dict[str, str]
) -> None:
    settings = load_settings(written(tmp_path, f"[inference]\n{text}\n"))
    named = {task: tmp_path / folder for task, folder in own.items()}
    expected = named if "covnet" in own else shipped_bundles() | named
    assert settings.bundle_folders == expected
    assert next(iter(settings.bundle_folders)) == "covnet"
