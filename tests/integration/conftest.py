"""A receiver for the integration tests."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from pynetdicom import _config

from dicomnode.config import ReceiveSettings
from dicomnode.network.associations import end_broken_association
from support.receiver import Receiver, running_receiver


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
