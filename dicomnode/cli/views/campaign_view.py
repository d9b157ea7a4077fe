"""What `dicomnode campaign status | list` shows."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.text import Text

from dicomnode.campaign.standing import Standing
from dicomnode.cli.views.queue_view import say
from dicomnode.cli.views.tables import add_row, new_table, print_table
from dicomnode.decisions.campaign.plan import Plan
from dicomnode.decisions.operating.wording import duration
from dicomnode.decisions.wording import how_many
from storage.campaign_records import Campaign, CampaignState, FoundState, WindowState

_LABEL = 11
_WORDS = {
    FoundState.FOUND: "found, not looked at",
    FoundState.FALLEN: "fallen by their tags, unmoved",
    FoundState.WANTED: "wanted",
    FoundState.PULLED: "here, being analysed",
}
_SHOWN_TROUBLES = 5


def print_standing(console: Console, standing: Standing) -> None:
    for line in lines(standing):
        say(console, line)


def watch(
    console: Console,
    look: Callable[[], Standing],
    wait: Callable[[], bool],
    *,
    as_json: bool = False,
) -> None:
    """Until Ctrl-C: on a terminal in the same place; in a pipe, and as a line of JSON, whenever
    something has changed."""
    with suppress(KeyboardInterrupt):
        if console.is_terminal and not as_json:
            _watch_live(console, look, wait)
            return
        last: list[str] = []
        while True:
            standing = look()
            shown = [_as_line(standing)] if as_json else list(lines(standing))
            if shown != last:
                for line in shown:
                    say(console, line)
                console.file.flush()
            last = shown
            if not wait():
                return


def _as_line(standing: Standing) -> str:
    return json.dumps(standing.as_json(), ensure_ascii=False)


def _watch_live(console: Console, look: Callable[[], Standing], wait: Callable[[], bool]) -> None:
    with Live(console=console, auto_refresh=False) as live:
        while True:
            standing = look()
            text = Text("\n".join(lines(standing)))
            total, ended = _progress(standing)
            live.update(Group(text, ProgressBar(total=total or 1, completed=ended)), refresh=True)
            if not wait():
                return


def lines(standing: Standing) -> Iterator[str]:
    """All that there is to tell, a line each."""
    plan, windows = standing.plan, standing.windows
    yield _line("campaign", f"{standing.campaign.name}: {_state(standing)}")
    yield _line("source", _source(plan))
    if plan.by_days:
        asked = windows[WindowState.ASKED] + windows[WindowState.CAPPED]
        left = windows[WindowState.OPEN]
        yield _line("asked for", f"{how_many(asked, 'window')}, {left} to go")
    for state in FoundState:
        if count := standing.series.get(state, 0):
            yield _line("series", f"{count} {_WORDS.get(state, state.value)}")
    if standing.waits_for:
        yield _line("waits for", standing.waits_for)
    yield _line("time left", _left(standing))
    yield _line("results to", plan.to or "no destination: the table alone")
    for each in standing.troubled[:_SHOWN_TROUBLES]:
        yield _line("may lack", f"{each.first}: {each.note}")
    if len(standing.troubled) > _SHOWN_TROUBLES:
        yield _line("may lack", f"{len(standing.troubled) - _SHOWN_TROUBLES} more windows")


def print_list(console: Console, found: Sequence[Campaign]) -> None:
    table = new_table("", "name", "state", "source", "made", whole=1)
    for each in found:
        plan = Plan.from_json(each.plan)
        made = f"{each.created_at:%Y-%m-%d %H:%M} UTC"
        add_row(table, each.name, each.state.value, _source(plan), made)
    print_table(console, table, nothing="there is no campaign")


def as_row(campaign: Campaign) -> dict[str, Any]:
    plan = {key: value for key, value in campaign.plan.items() if key != "key"}
    made = campaign.created_at.isoformat()
    return {"name": campaign.name, "state": campaign.state.value, "created_at": made, "plan": plan}


def _state(standing: Standing) -> str:
    if standing.campaign.state is not CampaignState.READY:
        return standing.campaign.state.value
    return "runs" if standing.runs else "nobody works on it: `dicomnode campaign run` does"


def _source(plan: Plan) -> str:
    if not plan.by_days:
        return f"{plan.source} {plan.place}"
    return f"{plan.modality} of {plan.place}, {plan.first} to {plan.last}"


def _left(standing: Standing) -> str:
    seen = standing.outlook
    if seen.left is None:
        return seen.text or "not known"
    about = "about " if seen.estimated else ""
    return f"{about}{duration(seen.left)}" + (f", {seen.text}" if seen.text else "")


def _progress(standing: Standing) -> tuple[int, int]:
    done = standing.done
    return done.known, done.fallen + done.ended


def _line(label: str, text: str) -> str:
    return f"{label:<{_LABEL}}{text}"
