"""PostgreSQL fails over to a standby that lacks what was committed last: nothing is missing."""

from __future__ import annotations

import signal
from pathlib import Path

import pydicom
import pytest
from sqlalchemy import create_engine, func, select

from storage.models import InstanceRow
from storage.records import SeriesState
from support.cables import switch
from support.machines import PORT, Machine
from support.pacs import running_pacs
from support.phantom import write_series
from support.scu import Scu
from support.stamped import Stamped, Template
from support.standby import Server, replicated
from support.wait import wait_for

pytestmark = pytest.mark.long


def instances(server: Server) -> int:
    """As many as a server knows, primary or standby."""
    engine = create_engine(server.url.replace("postgresql:", "postgresql+psycopg:"))
    try:
        with engine.connect() as connection:
            return connection.scalar(select(func.count()).select_from(InstanceRow)) or 0
    finally:
        engine.dispose()


def test_what_the_promoted_standby_lacks_is_told_again(tmp_path: Path, shared_models: Path) -> None:
    """Amid an association, which goes on: what it brought before is neither missing nor closed."""
    templates = [Template(pydicom.dcmread(each)) for each in write_series(tmp_path / "series")]
    slices = [each.instance(number, 1) for number, each in enumerate(templates)]
    with switch() as network, replicated(network.host(), network.host()) as pair:
        host = network.host()
        with host.entered(), running_pacs() as pacs:
            url = f'database_url = "{pair.url}"'
            destinations = [pacs.destination]
            node = Machine(host, tmp_path / "node", destinations, node=url, models=shared_models)
            node.start()
            try:
                association = Scu(PORT, address=host.address)
                send(association, slices[:4])
                wait_for(lambda: instances(pair.standby) == 4, "the standby knows them")
                pair.standby.host.pull()
                send(association, slices[4:8])
                wait_for(lambda: instances(pair.primary) == 8, "the primary knows them")
                pair.primary.signal(signal.SIGKILL)
                pair.standby.host.plug_in()
                assert instances(pair.standby) == 4
                pair.fail_over()
                wait_for(lambda: instances(pair.primary) == 8, "all are known again")
                send(association, slices[8:])
                association.release()
                wait_for(lambda: instances(pair.primary) == 12, "all are known")
                detail = node.wait_until_ended(slices[0].series_instance_uid)
            finally:
                node.close()
    assert detail.series.state is SeriesState.ANALYSED, detail.series.reasons
    assert detail.series.history == ()
    assert [each.end for each in detail.associations] == ["released"]
    received = [str(each.SOPInstanceUID) for each in pacs.received]
    assert sorted(received) == sorted(each.sop_instance_uid for each in detail.results)


def send(association: Scu, slices: list[Stamped]) -> None:
    assert [association.store_instance(each) for each in slices] == [0x0000] * len(slices)
