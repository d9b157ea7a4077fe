"""The checks of a DICOMweb destination: STOW-RS, QIDO-RS, its clock, and the withdrawal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus

from urllib3.util import parse_url

from dicomnode.commission.bench import Bench, Made, Withdraw
from dicomnode.commission.checks import Check, failed, not_tested, passed
from dicomnode.commission.dicom_peer import send_all, withdrawn_by_hand
from dicomnode.commission.tls_peer import tls_checks
from dicomnode.config.destinations import WebDestination
from dicomnode.decisions.delivery.stow_response import read_instances
from dicomnode.deliver.web_sender import web_sender
from dicomnode.errors import ConfigurationError, PeerError
from dicomnode.network.web_connection import Answer, WebConnection

_MOST_OFFSET_SECONDS = 60.0
_DICOM_JSON = "application/dicom+json"


def web_checks(bench: Bench, destination: WebDestination) -> Iterator[Check]:
    """What of the checks of a DICOM destination has an equivalent."""
    if destination.tls is not None:
        url = parse_url(destination.url)
        where = str(url.host), url.port or 443
        yield from tls_checks(*where, destination.tls, bench.patient.drawn_at)
    made = bench.make(destination)

    def withdraw() -> Sequence[Check]:
        try:
            with web_sender(destination, bench.timeout) as sender:
                return send_all(sender, [made.withdrawal])[0]
        except (PeerError, ConfigurationError) as error:
            return [failed("withdrawal", found=str(error), remedy="see its log")]

    with bench.storing(destination, withdraw):
        yield from _stored(bench, destination, made, withdraw)


def _stored(
    bench: Bench, destination: WebDestination, made: Made, withdraw: Withdraw
) -> Iterator[Check]:
    try:
        with web_sender(destination, bench.timeout) as sender:
            checks, stored = send_all(sender, made.objects)
            yield from checks
            yield from _search(bench, destination, made, stored)
    except (PeerError, ConfigurationError) as error:
        yield failed("STOW-RS", found=str(error), remedy="url, tls and credentials of it")
        return
    if not stored:
        yield not_tested("withdrawn", found="nothing was stored")
        return
    yield from withdraw()
    yield withdrawn_by_hand(bench, destination.rejection_notes)


def _search(
    bench: Bench, destination: WebDestination, made: Made, stored: set[str]
) -> Iterator[Check]:
    """Asked once for each series."""
    connection = WebConnection(destination, bench.timeout)
    headers = {"Accept": _DICOM_JSON}
    if destination.credentials is not None:
        headers["Authorization"] = destination.credentials.authorization()
    what, found, answer = "QIDO-RS finds what was stored", set[str](), None
    try:
        for study, series in made.series:
            path = f"/studies/{study}/series/{series}/instances"
            answer = connection.request("GET", path, headers)
            if answer.status == HTTPStatus.OK:
                found |= read_instances(answer.body)
    except PeerError as error:
        yield not_tested(what, found=str(error))
        return
    finally:
        connection.close()
    if stored and not found:
        status = answer.status if answer else "nothing"
        yield not_tested(what, found=f"it answers {status}", remedy="nothing, if it has no QIDO-RS")
    elif stored - found:
        missing = len(stored - found)
        yield failed(what, found=f"{missing} of {len(stored)} are missing", remedy="see its log")
    elif stored:
        yield passed(what, found=f"all {len(stored)} objects")
    if answer is not None:
        yield clock_check(answer, datetime.now(bench.patient.drawn_at.tzinfo))


def clock_check(answer: Answer, now: datetime) -> Check:
    """By the header Date (RFC 9110 section 6.6.1), which counts seconds."""
    what = "its clock and ours"
    try:
        offset = (parsedate_to_datetime(answer.date) - now).total_seconds()
    except (ValueError, TypeError):
        return not_tested(what, found="it tells no time")
    words = f"{offset:+.0f} s"
    if abs(offset) <= _MOST_OFFSET_SECONDS:
        return passed(what, found=words)
    return failed(what, found=words, remedy="set both by NTP")
