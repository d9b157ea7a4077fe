"""How a process starts."""

from __future__ import annotations

import subprocess
import sys


def test_the_command_line_starts_no_threads_before_it_blocks_the_stop_signals() -> None:
    """numpy's BLAS starts threads when it is imported; one that does not block SIGTERM ends the
    process by it, and no job is handed back."""
    code = "import sys, dicomnode.cli.main; print(sorted({'numpy', 'torch'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
