"""Works on a campaign: one step after another, each kept before the next, so that a kill costs one.

First what has ended is settled; then, within the limits, a series is had; then some are looked at
by their tags; then the next window is asked for. So results come from the first minutes on, and
little is wanted in advance.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import datetime, timedelta

from dicomnode.campaign.cohort import Studies
from dicomnode.campaign.sources import Source
from dicomnode.clock import Clock, clock_of
from dicomnode.decisions.campaign.pace import Load, Wait, must_wait_to_ask, must_wait_to_pull
from dicomnode.decisions.campaign.plan import Plan
from dicomnode.decisions.campaign.windows import Window, halves, seems_capped
from dicomnode.errors import PeerCause, PeerError
from dicomnode.pull.steps import SeriesPulled
from storage import campaign_claims, campaign_series, campaigns
from storage.campaign_claims import claim_some
from storage.campaign_records import (
    Campaign,
    CampaignState,
    CampaignWindow,
    FoundClaim,
    FoundState,
    NewFound,
    WindowState,
)
from storage.database import Database
from storage.errors import LeaseLostError

log = logging.getLogger(__name__)

LEASE = timedelta(minutes=5)
_RENEW_EVERY = timedelta(seconds=20)
_SAY_EVERY = timedelta(seconds=5)
_IDLE_SECONDS = 2.0
_FIRST_REST_SECONDS, _LONGEST_REST_SECONDS = 5.0, 300.0
_MOST_ATTEMPTS = 10
_TRIES_BEFORE_HALVING = 2
_SETTLED_AT_ONCE = 20
_LOOKED_AT_ONCE = 50
_LOOK_SECONDS = 1.0
"""Of tags that are at hand as many; of an archive's those that it tells in that time."""
_BY_TIME = "asked by time of day: a study without Study Time may be missing"
_STILL_CAPPED = "the archive does not tell all of this second"

_WAITS = {
    CampaignState.PAUSED: "is paused; `dicomnode campaign resume` lets it go on",
    CampaignState.DONE: "is done; goes on when `dicomnode campaign resume` has it ask once more",
}

Refusing = Callable[[], str]
"""Why the disk takes nothing now; "" where it does."""


class Runner:
    """Of one campaign, in one process; others may run the same one elsewhere."""

    def __init__(
        self,
        database: Database,
        campaign: Campaign,
        source: Source,
        stop: threading.Event,
        refusing: Refusing = lambda: "",
        clock: Clock | None = None,
        owner: str = "",
    ) -> None:
        """`owner`: no other process works on this campaign under it; what one that was killed held
        is free as soon as this one begins."""
        self._owner = owner
        self._database, self._campaign, self._source = database, campaign, source
        self._plan = Plan.from_json(campaign.plan)
        self._stop, self._refusing, self._clock = stop, refusing, clock or clock_of(database)
        self._id = campaign.campaign_id
        self._place = {FoundState.FOUND: 0, FoundState.WANTED: 0}
        self._refusals = 0
        self._rest_seconds = 0.0
        self._begun = False
        self._renewed_at = self._clock.now()
        self._said = "", self._renewed_at - _SAY_EVERY

    def run(self, until_empty: bool) -> CampaignState | None:
        """Until `stop`; with `until_empty` until it is paused or nothing is left to do.

        Raises:
            DatabaseUnavailableError
            ConfigurationError: as the source.
        """
        told: CampaignState | None = CampaignState.READY
        while not self._stop.is_set():
            state, waits = self.step()
            if state is None or (until_empty and state is not CampaignState.READY):
                return state
            if state is not told and state is not CampaignState.READY:
                log.info("campaign %s: %s", self._campaign.name, _WAITS[state])
            told = state
            if waits is not None:
                self._stop.wait(waits)
        return CampaignState.READY

    def step(self) -> tuple[CampaignState | None, float | None]:
        """What the campaign is told to do, and for how many seconds there is nothing to be done;
        None: on with the next step."""
        now = self._clock.now()
        with self._database.read() as session:
            state = campaigns.state_of(session, self._campaign)
            load = campaign_series.load(session, self._id)
        if load[0]:
            with self._database.write() as session:
                campaign_series.settle(session, self._id, now, _SETTLED_AT_ONCE)
        waits = self._must_wait(now, Load(*load, self._refusing()))
        self._say(waits.text if waits else "", now)
        if state is not CampaignState.READY:
            self._begun = self._begun and state is not CampaignState.DONE
            return state, _IDLE_SECONDS
        try:
            did = self._do(now, waits)
            self._rest_seconds = 0.0
        except PeerError as error:
            return state, self._rest(str(error))
        except LeaseLostError as error:
            log.warning("campaign %s: %s: another goes on with it", self._campaign.name, error)
            did = True
        if did:
            return state, None
        if waits is None and self._is_done():
            return CampaignState.DONE, _IDLE_SECONDS
        return state, _IDLE_SECONDS

    def _say(self, text: str, now: datetime) -> None:
        if text != self._said[0] or now - self._said[1] >= _SAY_EVERY:
            self._said = text, now
            with self._database.write() as session:
                campaigns.say(session, self._id, text, now)

    def _must_wait(self, now: datetime, load: Load) -> Wait | None:
        closed = must_wait_to_ask(self._plan, now.astimezone())
        return closed or must_wait_to_pull(self._plan, load)

    def _do(self, now: datetime, waits: Wait | None) -> bool:
        """One step; False: nothing is to be done now."""
        if not self._begun:
            self._take_up()
            self._enter(self._source.everything())
            self._begun = True
        if waits is not None and must_wait_to_ask(self._plan, now.astimezone()) is not None:
            return False
        if waits is None and (wanted := self._claim(FoundState.WANTED, now, 1)):
            self._pull(wanted[0])
            return True
        if found := self._claim(FoundState.FOUND, now, _LOOKED_AT_ONCE):
            self._look_at(found)
            return True
        with self._database.read() as session:
            window = campaigns.next_window(session, self._id)
        if window is not None:
            self._ask(window)
        return window is not None

    def _take_up(self) -> None:
        if not self._owner:
            return
        with self._database.write() as session:
            count = campaign_claims.hand_back(session, self._id, self._owner)
        if count:
            log.info("campaign %s: %d that were under way go on", self._campaign.name, count)

    def _claim(self, state: FoundState, now: datetime, most: int) -> list[FoundClaim]:
        """Behind the last one first; then from the start, where some are due again."""
        for after in dict.fromkeys((self._place[state], 0)):
            with self._database.write_lightly() as session:
                which = self._id, state, now, LEASE, after, most
                claimed = claim_some(session, *which, self._owner)
            if claimed:
                self._place[state] = claimed[-1].found_id
                self._renewed_at = now
                return claimed
        self._place[state] = 0
        return []

    def _ask(self, window: CampaignWindow) -> None:
        span = Window(window.first, window.last, window.begin, window.end)
        answer = self._source.studies(span)
        with self._database.read() as session:
            known = campaign_series.known_studies(session, self._id, answer.uids)
        for study in answer.uids:
            if self._stop.is_set():
                return
            if study not in known:
                self._enter_study(study)
        self._end_window(window, span, answer)

    def _enter_study(self, study_instance_uid: str) -> None:
        self._enter(self._source.series(study_instance_uid))

    def _end_window(self, window: CampaignWindow, span: Window, answer: Studies) -> None:
        """A whole answer ends it; one that is cut short is asked for in halves."""
        count, most = len(answer.uids), self._plan.most_answers
        if answer.refused and self._is_busy():
            raise PeerError(answer.refused, PeerCause.STATUS)
        self._refusals = 0
        cut = bool(answer.refused) or answer.capped
        parts = halves(span) if cut or seems_capped(count, most) else ()
        state, note = WindowState.ASKED, ""
        if parts:
            state = WindowState.HALVED
            note = "" if span.first < span.last else _BY_TIME
        elif cut or (most and count >= most):
            state, note = WindowState.CAPPED, _STILL_CAPPED
            log.error("campaign %s: %s: %s", self._campaign.name, span, note)
        with self._database.write() as session:
            spans = [(each.first, each.last, each.begin, each.end) for each in parts]
            campaigns.end_window(session, self._id, window.window_id, state, count, note, spans)

    def _is_busy(self) -> bool:
        """Out of resources may be over in a moment: asked again before it is taken for too much."""
        self._refusals += 1
        return self._refusals <= _TRIES_BEFORE_HALVING

    def _look_at(self, found: list[FoundClaim]) -> None:
        """One after the other, for a second or so; what is not come to is let go, so that nothing
        is held from one step to the next."""
        outcomes: list[campaign_claims.Judged] = []
        until = self._clock.seconds() + _LOOK_SECONDS
        for each in found:
            if outcomes and (self._stop.is_set() or self._clock.seconds() >= until):
                break
            try:
                outcomes.append((each, self._source.look(each)))
            except PeerError as error:
                self._judged(outcomes, found[len(outcomes) + 1 :])
                self._put_back(each, str(error))
                raise
        self._judged(outcomes, found[len(outcomes) :])

    def _judged(self, outcomes: list[campaign_claims.Judged], rest: list[FoundClaim]) -> None:
        with self._database.write() as session:
            campaign_claims.judged(session, outcomes, self._clock.now())
            campaign_claims.let_go(session, rest)
        if rest:
            self._place[FoundState.FOUND] = rest[0].found_id - 1

    def _pull(self, wanted: FoundClaim) -> None:
        with self._database.write() as session:
            if not campaign_series.asked(session, wanted, self._clock.now()):
                return  # the node has it already
        try:
            came = self._source.pull(wanted, lambda: self._renew(wanted))
        except PeerError as error:
            self._put_back(wanted, str(error))
            raise
        self._pulled(wanted, came)

    def _pulled(self, wanted: FoundClaim, came: SeriesPulled) -> None:
        here = came.here_before + came.came
        if came.lacking and self._stop.is_set():
            self._put_back(wanted, None)
        elif came.lacking and wanted.attempt < _MOST_ATTEMPTS:
            self._put_back(wanted, came.problem)
        elif not here:
            self._give_up(wanted, came.problem)
        else:
            with self._database.write() as session:
                now = self._clock.now()
                campaign_series.pulled(session, wanted, here, now, came.problem or None)

    def _put_back(self, claimed: FoundClaim, error: str | None) -> None:
        """Later, after a while never: a minute first, longer each time, 17 hours in all."""
        if error is not None and claimed.attempt >= _MOST_ATTEMPTS:
            self._give_up(claimed, error)
            return
        rest = timedelta(minutes=0 if error is None else 2 ** (claimed.attempt - 1))
        with self._database.write() as session:
            campaign_claims.put_back(session, claimed, self._clock.now() + rest, error)

    def _give_up(self, claimed: FoundClaim, error: str) -> None:
        with self._database.write() as session:
            campaign_series.failed(session, claimed, error, self._clock.now())

    def _renew(self, claimed: FoundClaim) -> None:
        now = self._clock.now()
        if now - self._renewed_at >= _RENEW_EVERY:
            self._renewed_at = now
            with self._database.write() as session:
                campaign_claims.renew(session, claimed, now, LEASE)

    def _rest(self, why: str) -> float:
        """The archive is away, or has too much to do: longer each time."""
        longer = max(_FIRST_REST_SECONDS, 2 * self._rest_seconds)
        rest = self._rest_seconds = min(longer, _LONGEST_REST_SECONDS)
        log.warning("campaign %s: %s; goes on in %g s", self._campaign.name, why, rest)
        self._say(f"archive: {why}", self._clock.now())
        return rest

    def _enter(self, found: list[NewFound]) -> None:
        wanted = [each for each in found if each.modality in ("", self._plan.modality)]
        with self._database.write() as session:
            if campaigns.keep(session, self._campaign):
                campaign_series.enter(session, self._id, wanted, self._clock.now())

    def _is_done(self) -> bool:
        with self._database.write() as session:
            done = campaigns.nothing_left(session, self._id)
            done = done and campaigns.end(session, self._id)
        if done:
            log.info("campaign %s: all is done", self._campaign.name)
        return done
