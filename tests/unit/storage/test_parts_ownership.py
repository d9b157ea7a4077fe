"""Any mixture of patients, studies, series, orders of arrival and resends, on a real SQLite."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage.conflicts import claims_of, conflicts_of
from storage.database import Database
from storage.index import instances_of_series
from storage.queries import list_series, series_detail
from storage.records import JobKind, JobState, StoredInstance
from support.storage_samples import NOW, instance, receive, seconds

SENT = st.tuples(
    st.integers(1, 4),  # SOP Instance UID
    st.sampled_from(["1.2.3", "1.2.4"]),
    st.sampled_from(["1.9", "1.10"]),
    st.sampled_from(["A", "B", ""]),
    st.integers(0, 1),  # which content
)


def stored(at: int, sent: tuple[int, str, str, str, int]) -> StoredInstance:
    number, series, study, patient, content = sent
    told = f"{series} {study} {patient} {content}"
    made = instance(number, "1.1", content=told, received_at=NOW + seconds(at))
    return replace(
        made,
        series_instance_uid=series,
        study_instance_uid=study,
        identity_digest=f"{study}/{patient}",
    )


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.lists(SENT, min_size=1, max_size=5), min_size=1, max_size=4))
def test_no_series_holds_what_is_anothers_and_nothing_is_lost(
    batches: list[list[tuple[int, str, str, str, int]]],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        database = Database.open(f"sqlite:///{Path(folder)}/node.db")
        arrived = [
            [stored(10 * i + j, sent) for j, sent in enumerate(batch)]
            for i, batch in enumerate(batches)
        ]
        for batch in arrived:
            receive(database, *batch)
        everything = {
            each.sha256: each.identity_digest + each.series_instance_uid
            for batch in arrived
            for each in batch
        }
        told: set[str] = set()
        with database.read() as session:
            for series in list_series(session):
                key = series.series_key
                held = instances_of_series(session, key)
                owners = {everything[each.sha256] for each in held}
                owners |= {everything[each.sha256] for each in claims_of(session, key)}
                assert len(owners) == 1
                told |= {each.sha256 for each in held}
                told |= {each.sha256 for each in conflicts_of(session, key)}
                detail = series_detail(session, key)
                assert detail is not None
                (job,) = [each for each in detail.jobs if each.kind is JobKind.ASSESS]
                assert job.state is JobState.QUEUED  # each comes to a decision
        assert told == everything.keys()
        database.close()
