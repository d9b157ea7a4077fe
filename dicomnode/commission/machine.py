"""The checks of this machine: disk, database, models, clock, certificate, and the query."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

from pydicom.uid import generate_uid

from dicomnode.commission.bench import Bench
from dicomnode.commission.checks import Check, failed, not_tested, passed
from dicomnode.commission.object_store import mark_check, store_checks
from dicomnode.commission.tls_peer import file_check
from dicomnode.config.destinations import Peer
from dicomnode.config.settings import Settings
from dicomnode.decisions.wording import how_many
from dicomnode.disk_gate import disk_space, existing
from dicomnode.errors import ConfigurationError, PeerError
from dicomnode.methods.bundles import check_permitted, load_bundles
from dicomnode.network.associations import associated, requestor
from dicomnode.network.count_query import CONTEXTS, CountQuery
from inference.errors import InferenceError
from storage.database import check_answers, is_missing
from storage.errors import StorageError
from storage.models import SCHEMA_REVISION

_GIB = 1 << 30


def machine_checks(bench: Bench) -> Iterator[Check]:
    settings = bench.settings
    yield _disk(settings)
    yield _database(settings)
    if settings.object_store.url:
        yield from store_checks(settings.object_store)
        yield mark_check(settings)
    yield _models(settings)
    yield _clock()
    if settings.receive.tls.enabled:
        certificate, now = settings.receive.tls.certificate, bench.patient.drawn_at
        yield file_check("certificate of this node", certificate, now)
    if settings.query.peer is not None:
        yield _query(bench, settings.query.peer)


def _disk(settings: Settings) -> Check:
    space = disk_space(existing(settings.node.data_directory))
    found = f"{space.free_bytes / _GIB:.0f} GiB free of {space.total_bytes / _GIB:.0f}"
    if space.free_bytes < settings.disk.resume_above_bytes:
        return failed("disk", found=found, remedy="room, or [disk], [retention]")
    return passed("disk", found=found)


def _database(settings: Settings) -> Check:
    try:
        if is_missing(settings.database_url):
            return not_tested("database", found="there is none yet: the first start makes it")
        schema = check_answers(settings.database_url)
    except StorageError as error:
        return failed("database", found=str(error), remedy="node.database_url")
    if schema == SCHEMA_REVISION:
        return passed("database", found="answers, with the schema of this version")
    if schema is not None and schema > SCHEMA_REVISION:
        later = f"its schema {schema} is that of a later release, this one knows {SCHEMA_REVISION}"
        return failed("database", found=later, remedy="install that release")
    found = f"answers; the next start brings its schema from {schema or 'none'} to this version's"
    return passed("database", found=found)


def _models(settings: Settings) -> Check:
    """Whole, as their cards have it, and permitted here; not run."""
    try:
        cards = [each.card for each in load_bundles(settings).values()]
        check_permitted(cards, settings)
    except (InferenceError, ConfigurationError) as error:
        return failed("models", found=str(error), remedy="[inference]")
    return passed("models", found=", ".join(f"{each.name} {each.version}" for each in cards))


def _clock() -> Check:
    """Whether the system says that its clock is kept by NTP."""
    command = ["timedatectl", "show", "--property=NTPSynchronized", "--value"]
    try:
        told = subprocess.run(command, check=True, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        found = "this system does not tell (timedatectl)"
        return not_tested("clock", found=found, remedy="see that a time server keeps its clock")
    if told.stdout.strip() == "yes":
        return passed("clock", found="kept by NTP")
    return failed("clock", found="not kept by NTP", remedy="timedatectl set-ntp true")


def _query(bench: Bench, peer: Peer) -> Check:
    """A series that nobody has: the answer is that there is none."""
    what = f"C-FIND to {peer.name} ([query])"
    timeout = bench.settings.query.timeout_seconds
    ae = requestor(bench.settings.node.ae_title, CONTEXTS, timeout)
    try:
        with associated(ae, peer) as association:
            uids = str(generate_uid(None)), str(generate_uid(None))
            count = CountQuery(association, timeout, 10).count(*uids)
    except PeerError as error:
        return failed(what, found=str(error), remedy="query.peer; let this AE title ask there")
    if count.count:
        found = f"it names {how_many(count.count, 'instance')} of a series that is not there"
        return failed(what, found=found, remedy="do not count on it: leave [query] out")
    return passed(what, found="it answers")
