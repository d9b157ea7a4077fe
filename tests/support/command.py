"""The command line in the process of the test: one of its own takes two seconds to start."""

from __future__ import annotations

import sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from subprocess import CompletedProcess
from unittest.mock import patch

from dicomnode.cli.main import command_line, main

app = command_line()
"""All of it, as `--help` shows it."""


class Screen(StringIO):
    """An output that says it is a terminal; a dumb one, so that no colours are in it."""

    def isatty(self) -> bool:
        return True


def dicomnode(*arguments: str, terminal: bool = False) -> CompletedProcess[str]:
    """`dicomnode ARGUMENTS` with nobody at its standard input; standard output is a pipe, or a
    terminal."""
    out, err = Screen() if terminal else StringIO(), StringIO()
    command, status = ["dicomnode", *arguments], 0
    with (
        patch.object(sys, "argv", command),
        patch.object(sys, "stdin", StringIO()),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        try:
            main()
        except SystemExit as end:
            status = int(end.code or 0)
    return CompletedProcess(command, status, out.getvalue(), err.getvalue())
