"""What the log may hold, and how it is written."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dicomnode.errors import ConfigurationError
from dicomnode.logs import LogPolicy, Repeats, of_fields, set_up_logging, so_far
from support.wait import PATIENCE_SECONDS

NAME = "DOE^JANE"

LOGGED = """
import logging
from dicomnode.logs import set_up_logging
set_up_logging("receiver-1")
logging.getLogger("dicomnode.receive").warning("called '%s'", "A\\r\\nB\\x1b[2J\\x9b1m")
name = "".join(reversed("ENAJ^EOD"))
try:
    int(name)
except ValueError:
    logging.getLogger("dicomnode").exception("series not read")
"""


def test_a_message_stays_on_its_line_and_the_text_of_a_fault_is_left_out() -> None:
    """An AE title is told as it came; a library quotes values that it cannot read."""
    command = [sys.executable, "-c", LOGGED]
    told = subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=PATIENCE_SECONDS
    ).stderr
    first, second, *frames = told.splitlines()
    assert first.endswith(r"called 'A\x0d\x0aB\x1b[2J\x9b1m'")
    assert second.endswith("series not read")
    assert frames[-1] == "ValueError"
    assert "DOE^JANE" not in told


@pytest.fixture
def log_file(tmp_path: Path) -> Iterator[Path]:
    """Of this process, until the test ends."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield tmp_path / "node.log"
    root.handlers, root.level = handlers, level
    logging.captureWarnings(capture=False)


def _lines(file: Path) -> list[str]:
    return file.read_text().splitlines()


def test_what_a_library_says_of_a_peer_or_a_data_set_is_not_told_but_its_fault_is(
    log_file: Path,
) -> None:
    set_up_logging("deliverer", LogPolicy(file=str(log_file)))
    logging.getLogger("pynetdicom.transport").error("TCP Initialisation Error: DOE^JANE")
    logging.getLogger("urllib3.connectionpool").warning("Retrying /studies/DOE^JANE")
    logging.getLogger("py.warnings").warning("Invalid value for VR UI: 'DOE^JANE'")
    logging.getLogger("waitress").info("Serving on 127.0.0.1")
    logging.getLogger("waitress").warning("the queue is full")
    try:
        int(NAME)
    except ValueError:
        logging.getLogger("pynetdicom.events").exception("DOE^JANE")
    text = log_file.read_text()
    assert "DOE^JANE" not in text
    full, fault, *_frames, kind = text.splitlines()
    assert full.endswith("the queue is full")
    assert fault.endswith(f"ERROR   deliverer[{os.getpid()}] a fault in pynetdicom")
    assert kind == "ValueError"


def test_a_line_of_json_holds_what_a_program_wants_and_no_text_of_a_fault(log_file: Path) -> None:
    set_up_logging("receiver-1", LogPolicy(file=str(log_file), format="json"))
    log = logging.getLogger("dicomnode.receive.visits")
    log.info("an association of %s ended\n", "CT1", extra=of_fields(ae_title="CT1", instances=3))
    try:
        int(NAME)
    except ValueError:
        log.exception("series not read")
    first, second = map(json.loads, _lines(log_file))
    assert first["message"] == "an association of CT1 ended\n"
    assert first["role"] == "receiver-1"
    assert first["level"] == "info"
    assert first["time"].endswith("Z")
    assert (first["ae_title"], first["instances"]) == ("CT1", 3)
    assert second["fault"] == "ValueError"
    assert "test_logs.py" in second["frames"][0]
    assert "DOE^JANE" not in log_file.read_text()


def test_the_level_leaves_out_what_is_below_it(log_file: Path) -> None:
    set_up_logging("node", LogPolicy(file=str(log_file), level="warning"))
    log = logging.getLogger("dicomnode")
    log.info("not told")
    log.warning("told")
    assert [each.partition("] ")[2] for each in _lines(log_file)] == ["told"]


def test_a_file_that_cannot_be_written_stops_the_start_with_its_name(log_file: Path) -> None:
    log_file.mkdir()
    with pytest.raises(ConfigurationError, match=r"log\.file: .*node\.log: Is a directory"):
        set_up_logging("node", LogPolicy(file=str(log_file)))


def test_what_happens_alike_is_told_less_and_less_often() -> None:
    repeats = Repeats(most=2)
    told = [repeats.count("192.0.2.7", "unknown") for _ in range(9)]
    assert told == [1, 2, 0, 4, 0, 0, 0, 8, 0]
    assert repeats.count("192.0.2.8", "unknown") == 1
    assert repeats.count("192.0.2.9", "unknown") == 1  # forgets the first
    assert repeats.count("192.0.2.7", "unknown") == 1
    assert (so_far(1), so_far(8)) == ("", " (8 times so far)")
