"""What the log may hold."""

from __future__ import annotations

import subprocess
import sys

from support.wait import PATIENCE_SECONDS

LOGGED = """
import logging
from dicomnode.lifecycle import set_up_logging
set_up_logging("receiver-1")
logging.getLogger("pynetdicom.acse").warning("called '%s'", "A\\r\\nB\\x1b[2J\\x9b1m")
name = "".join(reversed("ENAJ^EOD"))
try:
    int(name)
except ValueError:
    logging.getLogger("dicomnode").exception("series not read")
"""


def test_a_message_stays_on_its_line_and_the_text_of_a_fault_is_left_out() -> None:
    """A library logs an AE title as it came, and quotes values that it cannot read."""
    command = [sys.executable, "-c", LOGGED]
    told = subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=PATIENCE_SECONDS
    ).stderr
    first, second, *frames = told.splitlines()
    assert first.endswith(r"called 'A\x0d\x0aB\x1b[2J\x9b1m'")
    assert second.endswith("series not read")
    assert frames[-1] == "ValueError"
    assert "DOE^JANE" not in told


def test_the_command_line_starts_no_threads_before_it_blocks_the_stop_signals() -> None:
    """numpy's BLAS starts threads when it is imported; one that does not block SIGTERM ends the
    process by it, and no job is handed back."""
    code = "import sys, dicomnode.cli.main; print(sorted({'numpy', 'torch'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
