"""A receiver for the integration tests, and a data directory with results."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from pynetdicom import _config

from dicomnode.config.sections import ReceiveSettings
from dicomnode.network.associations import end_broken_association
from support.postgresql import PostgresqlServer, postgresql_server
from support.receiver import Receiver, running_receiver
from support.result_site import Site, analysed_data, result_site


@pytest.fixture
def receiver_settings() -> ReceiveSettings:
    """A module may give its own."""
    return ReceiveSettings(acse_timeout_seconds=3.0)


@pytest.fixture
def receiver(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, receiver_settings: ReceiveSettings
) -> Iterator[Receiver]:
    # the receiver sets both for its whole process; here others share the process
    before = _config.UNRESTRICTED_STORAGE_SERVICE
    monkeypatch.setattr(_config, "UNRESTRICTED_STORAGE_SERVICE", before)
    monkeypatch.setattr(threading, "excepthook", end_broken_association)
    with running_receiver(tmp_path / "data", receiver_settings) as running:
        yield running


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgresqlServer]:
    with postgresql_server() as server:
        yield server


@pytest.fixture(scope="session")
def analysed(tmp_path_factory: pytest.TempPathFactory, shared_models: Path) -> tuple[Path, str]:
    """Made once and copied."""
    return analysed_data(tmp_path_factory.mktemp("analysed"), shared_models)


@pytest.fixture
def unsent(tmp_path: Path, analysed: tuple[Path, str], shared_models: Path) -> Iterator[Site]:
    with result_site(tmp_path, analysed, shared_models) as made:
        yield made
