"""How far a campaign is, and how long it will take still."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from dicomnode.decisions.campaign.outlook import Done, Outlook, outlook
from dicomnode.decisions.campaign.plan import Plan
from dicomnode.decisions.campaign.windows import Window
from storage import campaigns
from storage.campaign_records import (
    ENDED_FOUND,
    Campaign,
    CampaignState,
    CampaignWindow,
    FoundState,
    WindowState,
)
from storage.database import Database

_LATELY = timedelta(hours=1)
_ALIVE = timedelta(minutes=11)  # a runner may be having one long series sent
_BY_COUNT = tuple[int, int, int]


@dataclass(frozen=True)
class Standing:
    """`waits_for`: what its runner said last; "" where nothing holds it up, or none runs."""

    campaign: Campaign
    plan: Plan
    series: Mapping[FoundState, int]
    windows: Mapping[WindowState, int]
    troubled: tuple[CampaignWindow, ...]
    runs: bool
    done: Done
    outlook: Outlook

    @property
    def waits_for(self) -> str:
        return self.campaign.waits_for if self.runs else ""

    def as_json(self) -> dict[str, Any]:
        left = self.outlook.left
        return {
            "name": self.campaign.name,
            "state": self.campaign.state.value,
            "runs": self.runs,
            "plan": {key: value for key, value in self.plan.as_json().items() if key != "key"},
            "series": {state.value: self.series.get(state, 0) for state in FoundState},
            "windows": {state.value: self.windows.get(state, 0) for state in WindowState},
            "may_lack": [f"{_window(each)}: {each.note}" for each in self.troubled],
            "waits_for": self.waits_for,
            "progress": asdict(self.done),
            "seconds_left": None if left is None else left.total_seconds(),
            "limit": self.outlook.limit and self.outlook.limit.value,
            "estimated": self.outlook.estimated,
        }


def look(database: Database, name: str, now: datetime) -> Standing | None:
    """None: there is no such campaign."""
    with database.read() as session:
        campaign = campaigns.find(session, name)
        if campaign is None:
            return None
        number = campaign.campaign_id
        windows = campaigns.windows_of(session, number)
        states = campaigns.series_by_state(session, number)
        images, first = campaigns.pulled_since(session, number, now - _LATELY)
        ended, first_end = campaigns.ended_since(session, number, now - _LATELY)
    begun = min([each for each in (first, first_end) if each is not None], default=now)
    plan = Plan.from_json(campaign.plan)
    done = _done(windows, states, images, ended, (now - begun).total_seconds())
    runs = campaign.heard_at is not None and now - campaign.heard_at < _ALIVE
    runs = runs and campaign.state is CampaignState.READY
    return Standing(
        campaign,
        plan,
        {state: count for state, (count, _images, _size) in states.items()},
        {state: sum(each.state is state for each in windows) for state in WindowState},
        tuple(each for each in windows if each.note),
        runs,
        done,
        outlook(plan, done),
    )


def _done(
    windows: tuple[CampaignWindow, ...],
    states: Mapping[FoundState, _BY_COUNT],
    images: int,
    ended: int,
    seconds: float,
) -> Done:
    def count(*which: FoundState) -> int:
        return sum(states.get(each, (0, 0, 0))[0] for each in which)

    had = (FoundState.WANTED, FoundState.PULLED, *ENDED_FOUND)
    return Done(
        days_asked=_days(windows, WindowState.ASKED, WindowState.CAPPED),
        days_open=_days(windows, WindowState.OPEN),
        found=count(FoundState.FOUND),
        fallen=count(FoundState.FALLEN),
        wanted=count(FoundState.WANTED),
        pulled=count(FoundState.PULLED),
        ended=count(*ENDED_FOUND),
        images=sum(states.get(each, (0, 0, 0))[1] for each in had),
        images_lately=images,
        ended_lately=ended,
        lately_seconds=seconds,
    )


def _days(windows: tuple[CampaignWindow, ...], *states: WindowState) -> float:
    return sum(_window(each).days for each in windows if each.state in states)


def _window(row: CampaignWindow) -> Window:
    return Window(row.first, row.last, row.begin, row.end)
