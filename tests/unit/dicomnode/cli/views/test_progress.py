"""Bars: on a terminal, and nowhere else."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from dicomnode.cli.views import progress
from dicomnode.cli.views.progress import at_work
from support.sources import ROOT


@pytest.mark.parametrize("terminal", [True, False])
def test_work_is_seen_on_a_terminal_alone(monkeypatch: pytest.MonkeyPatch, terminal: bool) -> None:
    out = StringIO()
    made: list[bool] = []

    def console(*, stderr: bool) -> Console:
        made.append(stderr)
        return Console(file=out, force_terminal=terminal)

    monkeypatch.setattr(progress, "Console", console)
    with at_work("moving the database"):
        pass
    assert made == [True], "standard output is for what was asked for"
    assert ("moving the database" in out.getvalue()) is terminal


def test_no_command_draws_bars_otherwise() -> None:
    others = [
        path.name
        for path in (ROOT / "dicomnode" / "cli").rglob("*.py")
        if " Progress(" in path.read_text("utf-8") and path.name != "progress.py"
    ]
    assert others == []
