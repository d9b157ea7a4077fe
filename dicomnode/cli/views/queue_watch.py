"""What `dicomnode queue watch` shows: the list as it changes; in a pipe a line for each change."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime

from rich.console import Console
from rich.live import Live

from dicomnode.cli.views.queue_list import Listing, Row, for_watching
from dicomnode.cli.views.queue_view import say

Look = Callable[[], Listing]
Wait = Callable[[], bool]
"""Until the next look is due; False when it is not wanted any more."""


def watch_live(console: Console, look: Look, wait: Wait) -> None:
    """On a terminal: the same place, written anew."""
    with Live(console=console, auto_refresh=False) as live:
        while True:
            live.update(for_watching(look()), refresh=True)
            if not wait():
                return


def watch_changes(console: Console, look: Look, wait: Wait, *, as_json: bool) -> None:
    """A line for each series that is new or is not as it was at the last look, oldest first."""
    known: dict[str, tuple[str, ...]] = {}
    while True:
        listing = look()
        for row in reversed(listing.rows):
            key = row.detail.series.series_key
            shown = row.cells(listing.now, short=False)
            if known.get(key) != shown:
                known[key] = shown
                _tell(console, row, shown, listing.now, as_json=as_json)
        console.file.flush()
        if not wait():
            return


def _tell(
    console: Console, row: Row, cells: tuple[str, ...], now: datetime, *, as_json: bool
) -> None:
    if as_json:
        say(console, json.dumps(row.as_json(now), ensure_ascii=False))
        return
    say(console, f"{now:%Y-%m-%d %H:%M:%S} UTC  {'  '.join(cells)}")
