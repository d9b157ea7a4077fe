"""The monitor as it runs: from rows and files to a webhook, once, and once when it is over."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from dicomnode.config.alerts import AlertSettings
from dicomnode.config.http import HttpSettings
from dicomnode.config.sections import NodeSettings
from dicomnode.config.settings import Settings
from dicomnode.data_directory.holding import only_one
from dicomnode.data_directory.own_data import take_database
from dicomnode.decisions.operating.health_policy import HealthPolicy
from dicomnode.monitor import monitor, telling
from storage.database import Database
from storage.deliveries import abandon_deliveries
from storage.outbox import claim_deliveries, hold_deliveries
from storage.records import DeliveryState
from support.alert_receivers import WebhookServer, running
from support.storage_samples import LEASE, NOW, analyse, queue, receive
from support.wait import PATIENCE_SECONDS, wait_for

ANY_DISK = HealthPolicy(look_seconds=0.5, disk_warning_bytes=0, delivery_seconds=1e10)


@pytest.fixture
def webhook(monkeypatch: pytest.MonkeyPatch) -> Iterator[WebhookServer]:
    monkeypatch.setattr(telling, "_LOOK_SECONDS", 0.05)
    server = WebhookServer()
    with running(server):
        yield server


def settings_of(webhook: WebhookServer, folder: Path) -> Settings:
    at_once = {"stand_seconds": 0.0, "over_seconds": 0.0, "webhook": {"url": webhook.url}}
    return Settings(
        node=NodeSettings(data_directory=folder),
        http=HttpSettings(port=0),
        health=ANY_DISK,
        alerts=AlertSettings.model_validate(at_once),
    )


@contextmanager
def monitored(settings: Settings) -> Iterator[None]:
    with only_one(settings.node.data_directory) as node_id:
        take_database(settings, node_id)
        stop = threading.Event()
        work = threading.Thread(target=monitor.run, args=(settings, f"{node_id}/monitor/1/", stop))
        work.start()
        try:
            yield
        finally:
            stop.set()
            work.join(PATIENCE_SECONDS)


def is_open(file: Path) -> bool:
    """By this process."""
    return file.resolve() in {each.resolve() for each in Path("/proc/self/fd").iterdir()}


def wait_for_word(webhook: WebhookServer, key: str, name: str) -> None:
    def words() -> list[str]:
        return [each["name"] for _path, _headers, body in webhook.taken for each in body[key]]

    wait_for(lambda: name in words(), f"{key}: {name}")


def test_what_lies_in_database_and_files_is_told_once_and_when_it_is_over(
    webhook: WebhookServer, tmp_path: Path
) -> None:
    settings = settings_of(webhook, tmp_path)
    with closing(Database.open(settings.database_url)) as database:
        receive(database)
        queue(database)
        analyse(database)
        with database.write() as session:
            waiting = claim_deliveries(session, "PACS", "node/d/1/", NOW, LEASE, limit=9)
            hold_deliveries(session, waiting, "PACS", NOW, "Connection refused", "no connection")
        with monitored(settings):
            wait_for_word(webhook, "began", "destination_away:PACS")
        told = len(webhook.taken)
        with monitored(settings):  # another process of it
            with database.write() as session:
                abandon_deliveries(session, ["PACS"], [DeliveryState.WAITING], "dropped", NOW)
            wait_for_word(webhook, "over", "destination_away:PACS")
    began = [each["name"] for _, _, body in webhook.taken for each in body["began"]]
    assert began.count("destination_away:PACS") == 1
    assert "DOE" not in str(webhook.taken)
    assert len(webhook.taken) > told


def test_a_database_that_goes_away_is_told_without_it(
    webhook: WebhookServer, tmp_path: Path
) -> None:
    settings = settings_of(webhook, tmp_path)
    with monitored(settings):
        file = tmp_path / "node.sqlite3"
        wait_for(lambda: is_open(file), "the monitor has the database")
        file.rename(tmp_path / "away")
        wait_for_word(webhook, "began", "database_away")
        (tmp_path / "away").rename(file)
        wait_for_word(webhook, "over", "database_away")
