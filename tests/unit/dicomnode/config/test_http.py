"""Who may look at the status page."""

from __future__ import annotations

from pathlib import Path

import pytest

from dicomnode.config.http import HttpSettings
from dicomnode.config.reading import load_settings
from dicomnode.errors import ConfigurationError


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_this_machine_needs_no_token(address: str) -> None:
    assert HttpSettings(address=address).is_local


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "192.0.2.7", "node7.hospital.example"])  # noqa: S104
def test_an_address_that_others_reach_needs_one(tmp_path: Path, address: str) -> None:
    file = tmp_path / "dicomnode.toml"
    file.write_text(f'[http]\naddress = "{address}"\n')
    with pytest.raises(ConfigurationError, match="needs token: who may look"):
        load_settings(file)
    file.write_text(f'[http]\naddress = "{address}"\nport = 0\n')
    assert not load_settings(file).http.port
    file.write_text(f'[http]\naddress = "{address}"\ntoken = {{ file = "t" }}\n')
    token = load_settings(file).http.token
    assert token is not None
    assert token.file == str(tmp_path / "t")
