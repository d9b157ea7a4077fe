"""A store that is a folder, and what is told of one that is away, slow or refuses."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from storage.errors import ObjectMissingError, ObjectStoreError
from storage.object_store import _RETRIES, Access, open_store, try_create

SECRET = "wJalrXUtnFEMI-not-to-be-told"  # noqa: S105 - of nobody
NAME = "series/" + 64 * "0"


def test_a_folder_keeps_objects_whole(tmp_path: Path) -> None:
    (tmp_path / "a folder").mkdir()
    store = open_store(Access((tmp_path / "a folder").as_uri()))
    file = tmp_path / "file"
    file.write_bytes(b"0123456789")
    store.put(NAME, file)
    store.put(NAME, file)
    assert store.get_range(NAME, 3, 4) == b"3456"
    assert store.size_of(NAME) == 10
    with pytest.raises(ObjectMissingError, match="ends before"):
        store.get_range(NAME, 8, 4)
    store.delete(NAME)
    store.delete(NAME)
    assert store.size_of(NAME) is None
    with pytest.raises(ObjectMissingError, match="is not there"):
        store.get_range(NAME, 0, 1)
    assert [each for each in (tmp_path / "a folder").rglob("*") if each.is_file()] == []
    assert not try_create(store, NAME, file), "a folder is asked for nothing of the kind"


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "taken").write_bytes(b"")
    store = open_store(Access((tmp_path / "taken").as_uri()))
    with pytest.raises(ObjectStoreError, match="is not there"):
        store.put(NAME, tmp_path / "taken")


def test_a_folder_that_is_not_mounted_is_away_and_is_not_made(tmp_path: Path) -> None:
    """What was put below it would lie on the disk of one machine; what is in it is not missing."""
    (tmp_path / "file").write_bytes(b"0123456789")
    store = open_store(Access((tmp_path / "mount" / "store").as_uri()))
    for ask in (
        lambda: store.put(NAME, tmp_path / "file"),
        lambda: store.get_range(NAME, 0, 1),
        lambda: store.size_of(NAME),
        lambda: store.delete(NAME),
    ):
        with pytest.raises(ObjectStoreError, match="make it, or mount it") as away:
            ask()
        assert not isinstance(away.value, ObjectMissingError)
    assert not (tmp_path / "mount").exists()


@contextmanager
def server(status: int, body: str = "", wait: threading.Event | None = None) -> Iterator[str]:
    """Answers every request alike; how many there were is `server.asked`."""
    asked.clear()

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            asked.append(self.command)
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if wait is not None:
                wait.wait()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body.encode())

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _answer  # noqa: N815

        def log_message(self, *_: object) -> None: ...

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listening.daemon_threads = True
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.server_address[1]}"
    finally:
        if wait is not None:
            wait.set()
        listening.shutdown()
        thread.join()
        listening.server_close()


asked: list[str] = []


def told(endpoint: str, file: Path, timeout_seconds: float = 2.0) -> tuple[str, str]:
    """What is said when an object is written, and when one is read."""
    options = {
        "endpoint": endpoint,
        "region": "us-east-1",
        "access_key_id": "AKIDEXAMPLE",
        "secret_access_key": SECRET,
    }
    store = open_store(Access("s3://bucket/prefix", options, timeout_seconds))
    with pytest.raises(ObjectStoreError) as writing:
        store.put(NAME, file)
    with pytest.raises(ObjectStoreError) as reading:
        store.get_range(NAME, 0, 10)
    texts = str(writing.value), str(reading.value)
    for text in texts:
        assert SECRET not in text
        assert "AKIDEXAMPLE" not in text
        assert "127.0.0.1" not in text
    return texts


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "file").write_bytes(b"0123456789")
    return tmp_path / "file"


CODE = "<Error><Code>{}</Code><Message>AKIDEXAMPLE</Message></Error>"


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (403, "RequestTimeTooSkewed", "RequestTimeTooSkewed"),
        (403, "SignatureDoesNotMatch", "SignatureDoesNotMatch"),
        (404, "NoSuchBucket", "NoSuchBucket"),
        (401, "", "the credentials are not accepted"),
    ],
)
def test_what_a_server_refuses_is_told_by_its_code(
    file: Path, status: int, code: str, words: str
) -> None:
    with server(status, CODE.format(code) if code else "") as endpoint:
        assert words in told(endpoint, file)[0]


@pytest.mark.parametrize("status", [500, 503])
def test_a_server_at_fault_is_asked_again_a_few_times(file: Path, status: int) -> None:
    with server(status) as endpoint:
        writing, reading = told(endpoint, file)
        assert len(asked) <= 2 * (1 + _RETRIES)
    assert f"({status})" in writing
    assert f"({status})" in reading


def test_nobody_waits_for_ever_for_a_server_that_says_nothing(file: Path) -> None:
    began = time.monotonic()
    with server(200, wait=threading.Event()) as endpoint:
        assert "it took too long" in told(endpoint, file, timeout_seconds=0.3)[0]
    assert time.monotonic() - began < 60


def test_a_server_that_is_away_is_told(file: Path) -> None:
    with server(200) as endpoint:
        pass
    assert "the store is away" in told(endpoint, file, timeout_seconds=0.3)[0]
