"""What the commands share: which configuration is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from dicomnode.cli.common import CONFIG_VARIABLE, config_file, offline_settings
from dicomnode.errors import ConfigurationError


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(CONFIG_VARIABLE, raising=False)


def test_without_a_configuration_models_lie_in_the_users_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("dicomnode.cli.common.CONFIG_PLACES", (Path("dicomnode.toml"),))
    assert offline_settings(None).node.data_directory == tmp_path / "cache" / "dicomnode"


def test_a_wrong_configuration_that_is_found_is_refused_not_passed_over(tmp_path: Path) -> None:
    (tmp_path / "dicomnode.toml").write_text("[receive]\nport = 0\n")
    with pytest.raises(ConfigurationError, match=r"receive\.port: 0 is given"):
        offline_settings(None)


def test_a_place_that_may_not_be_looked_at_is_told_and_the_next_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = Path("x" * 300)  # as a folder of root's is: looking there raises an OSError
    found = tmp_path / "dicomnode.toml"
    monkeypatch.setattr("dicomnode.cli.common.CONFIG_PLACES", (refused, found))
    with pytest.raises(ConfigurationError, match="File name too long"):
        config_file(None)
    found.touch()
    assert config_file(None) == found
