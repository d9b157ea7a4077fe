"""What a DICOMweb server tells of a series is read as far as it can be; nothing in it breaks us."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomnode.campaign.cohort import IMAGE_KEYS, SERIES_KEYS, header_of
from dicomnode.campaign.web_cohort import WebCohort, _data_set
from dicomnode.config.destinations import WebServer
from dicomnode.decisions.campaign.windows import Window
from dicomnode.errors import PeerError

THICK = {
    "0020000E": {"vr": "UI", "Value": ["1.2.3"]},
    "00080060": {"vr": "CS", "Value": ["CT"]},
    "00180050": {"vr": "DS", "Value": [5.0]},
    "00080008": {"vr": "CS", "Value": ["ORIGINAL", "PRIMARY", "AXIAL"]},
    "00201209": {"vr": "IS", "Value": [60]},
}
_KEYS = (*SERIES_KEYS, *IMAGE_KEYS, "SeriesInstanceUID")
_ANY = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)


def test_tags_are_read_as_from_dicom() -> None:
    header = header_of(_data_set(THICK, _KEYS))
    assert (header.series_instance_uid, header.modality) == ("1.2.3", "CT")
    assert header.slice_thickness == 5.0
    assert header.image_type == ("ORIGINAL", "PRIMARY", "AXIAL")


@given(
    st.dictionaries(st.sampled_from(sorted(THICK)), _ANY | st.fixed_dictionaries({"Value": _ANY}))
)
def test_anything_is_read_or_left_out(item: dict[str, Any]) -> None:
    header = header_of(_data_set(item, _KEYS))
    assert header.slice_thickness is None or 0 < header.slice_thickness <= 100


class Server(ThreadingHTTPServer):
    """Has so many studies, returns at most `cap` at once; refuses with `status` where it is set."""

    studies, cap, status = 0, 1000, 200


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        asked = parse_qs(urlsplit(self.path).query)
        begin = int(asked["offset"][0])
        end = min(begin + min(int(asked["limit"][0]), self.server.cap), self.server.studies)
        found = [{"0020000D": {"vr": "UI", "Value": [f"1.{n}"]}} for n in range(begin, end)]
        body = json.dumps(found).encode()
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: object) -> None: ...


@contextmanager
def serving() -> Iterator[tuple[Server, WebCohort]]:
    server = Server(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    url = f"http://127.0.0.1:{server.server_address[1]}/web"
    try:
        with closing(WebCohort(WebServer(name="web", url=url), 30.0)) as cohort:
            yield server, cohort
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


DAY = Window(date(2025, 2, 3), date(2025, 2, 3))


@pytest.mark.parametrize("count", [0, 99, 100, 250])
def test_a_server_that_returns_a_hundred_at_once_is_asked_on(count: int) -> None:
    with serving() as (server, cohort):
        server.studies, server.cap = count, 100
        assert len(cohort.studies(DAY, "CT").uids) == count


def test_too_much_at_once_is_told_from_a_refusal() -> None:
    with serving() as (server, cohort):
        server.status = 413
        assert "413" in cohort.studies(DAY, "CT").refused
        server.status = 403
        with pytest.raises(PeerError, match="403"):
            cohort.studies(DAY, "CT")
