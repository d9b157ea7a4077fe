"""Whose slices are they? No result is about two patients, and none stays under the wrong one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from uuid import uuid4

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import RLELossless
from rich.console import Console

from dicomnode.assess.by_hand import Take
from dicomnode.cli.queue_actions import queue_release
from dicomnode.cli.views import why_view
from dicomnode.config.destinations import Destination
from dicomnode.decisions.arrival.resend import ResendPolicy
from dicomnode.decisions.result_options import ResultOptions
from dicomnode.errors import DataError
from dicomnode.notes.writer import NoteWriter
from storage import queries
from storage.index import instances_of_series, record_instances
from storage.records import ConflictState, SeriesDetail, SeriesState, StoredInstance
from support.node import free_port
from support.phantom import series_uid, write_series
from support.pipeline import Pipeline, databases_closed
from support.postgresql import PostgresqlServer, postgresql_server

Change = Callable[[Dataset], None]
NOWHERE = Destination(name="PACS", ae_title="PACS", address="127.0.0.1", port=free_port())


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.long)])
def database_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """Empty: that of a data directory by itself."""
    if request.param == "sqlite":
        yield ""
        return
    server: PostgresqlServer = request.getfixturevalue("postgresql")
    with server.migrated_database() as url:
        yield url


@pytest.fixture(scope="module")
def postgresql() -> Iterator[PostgresqlServer]:
    with postgresql_server() as server:
        yield server


@pytest.fixture
def node(tmp_path: Path, shared_models: Path, database_url: str) -> Iterator[Pipeline]:
    with databases_closed():
        pipeline = Pipeline(tmp_path / "data", shared_models, [NOWHERE], database_url)
        yield pipeline
        pipeline.database.close()


def wrong_patient(data_set: Dataset, _number: int) -> None:
    data_set.PatientID, data_set.PatientName = "WRONG-1", "Wrong^Patient"
    data_set.AccessionNumber = "ACC-WRONG"


def right_patient(data_set: Dataset) -> None:
    data_set.PatientID, data_set.PatientName = "RIGHT-1", "Right^Patient"
    data_set.AccessionNumber = "ACC-RIGHT"


def other_order(data_set: Dataset) -> None:
    data_set.AccessionNumber = "ACC-RIGHT"


def other_pixels(data_set: Dataset) -> None:
    data_set.PixelData = b"\x10\x00" + data_set.PixelData[2:]


def in_rle(data_set: Dataset) -> None:
    data_set.compress(RLELossless, generate_instance_uid=False)


def rewritten(files: list[Path], folder: Path, *changes: Change) -> list[Path]:
    folder.mkdir()
    paths = []
    for file in files:
        data_set = pydicom.dcmread(file)
        for change in changes:
            change(data_set)
        paths.append(folder / file.name)
        data_set.save_as(paths[-1], enforce_file_format=True)
    return paths


def assess_all(node: Pipeline) -> None:
    """Until nothing is due."""
    from dicomnode.assess.assessor import Assessor

    assessor = Assessor(node.settings, "node/assessor/1/")
    for _ in range(40):
        if not assessor.assess_one(datetime.now(UTC)):
            return
    raise AssertionError("the assessor comes to no end")


def analyse_all(node: Pipeline) -> None:
    assess_all(node)
    while node.load_worker().analyse_one():
        pass


def parts(node: Pipeline, uid: str) -> dict[str, SeriesDetail]:
    """Every series under a Series Instance UID, by key."""
    with node.database.read() as session:
        found = queries.find_series(session, uid)
    return {key: node.detail(key) for key in sorted(found)}


def failed(detail: SeriesDetail) -> dict[str, str]:
    return {r.rule: str(r.value) for r in detail.series.reasons if r.verdict == "fail"}


def warned(detail: SeriesDetail) -> dict[str, str]:
    return {r.rule: str(r.value) for r in detail.series.reasons if r.verdict == "warning"}


def reports(node: Pipeline, detail: SeriesDetail, kind: str = "sr") -> list[Dataset]:
    folder = node.settings.result_files
    return [pydicom.dcmread(folder / r.path) for r in detail.results if r.kind == kind]


def why_text(node: Pipeline, uid: str) -> str:
    console = Console(record=True, width=500, file=StringIO())
    why_view.print_why(
        console,
        why_view.look_up(node.database, node.settings, node.detail(uid), False, datetime.now(UTC)),
    )
    return console.export_text()


def tried(node: Pipeline) -> None:
    """One attempt of delivery, which nobody answers: the destination may have all of it."""
    assert node.deliver(NOWHERE) > 0


def test_slices_of_two_patients_in_turn_are_two_series(node: Pipeline, tmp_path: Path) -> None:
    mine = write_series(tmp_path / "mine", 24, change=wrong_patient)
    uid = series_uid(mine)

    def into_the_same_series(data_set: Dataset, _number: int) -> None:
        data_set.SeriesInstanceUID = uid
        data_set.PatientID, data_set.PatientName = "OTHER-702", "Other^Person"

    theirs = write_series(tmp_path / "theirs", 24, change=into_the_same_series)
    node.receive(mine[::2] + theirs[1::2])
    analyse_all(node)
    found = parts(node, uid)
    assert [each.series.instance_count for each in found.values()] == [12, 12]
    assert len({each.series.study_instance_uid for each in found.values()}) == 2
    for each in found.values():
        for report in reports(node, each):
            named = {
                image.ReferencedSOPInstanceUID
                for study in report.CurrentRequestedProcedureEvidenceSequence
                for series in study.ReferencedSeriesSequence
                for image in series.ReferencedSOPSequence
            }
            own = mine if report.PatientID == "WRONG-1" else theirs
            assert named <= {str(pydicom.dcmread(f).SOPInstanceUID) for f in own}


def test_two_whole_scans_under_one_uid_have_a_result_each(node: Pipeline, tmp_path: Path) -> None:
    mine = write_series(tmp_path / "mine", change=wrong_patient)
    uid = series_uid(mine)

    def same_places(data_set: Dataset, _number: int) -> None:
        data_set.SeriesInstanceUID = uid
        data_set.PatientID, data_set.PatientName = "OTHER-702", "Other^Person"

    theirs = write_series(tmp_path / "theirs", seed=1, change=same_places)
    node.receive(theirs + mine)
    analyse_all(node)
    found = parts(node, uid)
    assert [each.series.state for each in found.values()] == [SeriesState.ANALYSED] * 2
    made = [report for each in found.values() for report in reports(node, each)]
    assert sorted(str(report.PatientID) for report in made) == ["OTHER-702", "WRONG-1"]
    assert len({report.SOPInstanceUID for report in made}) == 2
    assert len({report.SeriesInstanceUID for report in made}) == 2


def test_a_patient_corrected_before_the_analysis(node: Pipeline, tmp_path: Path) -> None:
    first = write_series(tmp_path / "first", change=wrong_patient)
    uid = series_uid(first)
    node.receive(first)
    node.receive(rewritten(first, tmp_path / "then", right_patient))
    analyse_all(node)
    wrong, right = parts(node, uid).values()
    assert (wrong.series.state, wrong.series.instance_count) == (SeriesState.SKIPPED, 0)
    study = wrong.series.study_instance_uid
    told = f"under series {uid} of study {study} with another Patient ID"
    assert failed(wrong) == {"taken_elsewhere": f"12 of its 12 instances came again and are {told}"}
    assert right.series.state is SeriesState.ANALYSED
    (report,) = reports(node, right)
    assert (report.PatientID, report.AccessionNumber) == ("RIGHT-1", "ACC-RIGHT")
    assert not wrong.results
    assert "Patient ID" in warned(right)["resent"]


def test_a_patient_corrected_after_the_report_was_sent(node: Pipeline, tmp_path: Path) -> None:
    first = write_series(tmp_path / "first", change=wrong_patient)
    uid = series_uid(first)
    node.bring_to_results(first)
    tried(node)
    node.receive(rewritten(first, tmp_path / "then", right_patient))
    assert node.deliver(NOWHERE) == 0  # nothing more goes out before it is known whose it is
    analyse_all(node)
    wrong, right = parts(node, uid).values()
    assert wrong.series.state is SeriesState.SKIPPED
    assert [each.state for each in wrong.series.history].count("retracted") == 1
    analysed = [each for each in wrong.series.history if each.state == "analysed"]
    assert [each.instance_count for each in analysed] == [12]
    waiting = {d.result.kind for d in wrong.deliveries if d.state == "waiting"}
    assert waiting == {"retraction"}
    (report,) = reports(node, right)
    assert report.PatientID == "RIGHT-1"
    before = node.result_bytes()
    analyse_all(node)
    assert node.result_bytes() == before


def test_another_order_number_is_taken_over_and_the_report_names_the_former(
    node: Pipeline, tmp_path: Path
) -> None:
    first = write_series(tmp_path / "first", change=wrong_patient)
    uid = series_uid(first)
    node.bring_to_results(first)
    tried(node)
    (former,) = reports(node, node.detail(uid))
    node.receive(rewritten(first, tmp_path / "then", other_order))
    analyse_all(node)
    (detail,) = parts(node, uid).values()
    assert detail.series.state is SeriesState.ANALYSED
    newest = reports(node, detail)[-1]
    assert newest.AccessionNumber == "ACC-RIGHT"
    assert node.detail(uid).series.accession_number == "ACC-RIGHT"  # by which it is looked for
    (named,) = newest.PredecessorDocumentsSequence
    (series,) = named.ReferencedSeriesSequence
    assert series.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == former.SOPInstanceUID
    text = newest.to_json()
    assert "its instances came again with other content after it" in text
    told = "12 of its 12 instances came again with other Accession Number; the newest were taken"
    assert warned(detail)["resent"] == told


def test_another_encoding_of_the_same_is_no_news(node: Pipeline, tmp_path: Path) -> None:
    first = write_series(tmp_path / "first")
    uid = series_uid(first)
    node.bring_to_results(first)
    before = node.detail(uid)
    node.receive(rewritten(first, tmp_path / "then", in_rle))
    analyse_all(node)
    after = node.detail(uid)
    assert after.series.history == before.series.history == ()
    assert (after.results, after.series.analysis) == (before.results, before.series.analysis)
    assert {each.state for each in after.conflicts} == {ConflictState.SAME}
    tried(node)


@pytest.mark.parametrize("newest", [True, pytest.param(False, marks=pytest.mark.long)])
def test_other_pixels_are_held_until_a_person_decides(
    node: Pipeline, tmp_path: Path, newest: bool
) -> None:
    first = write_series(tmp_path / "first")
    uid = series_uid(first)
    node.bring_to_results(first)
    node.receive(rewritten(first[:3], tmp_path / "then", other_pixels))
    analyse_all(node)
    held = node.detail(uid)
    assert held.series.state is SeriesState.SKIPPED
    assert failed(held) == {"resent": "3 of its 12 instances came again with other pixels: held"}
    assert {each.state.value for each in held.deliveries} == {"abandoned"}
    assert "3 instances came again with other pixels: held" in why_text(node, uid)
    config = node.write_config(tmp_path)
    queue_release(uid, Take.NEWEST if newest else Take.FIRST, config)
    analyse_all(node)
    settled = node.detail(uid)
    assert settled.series.state is SeriesState.ANALYSED
    which = "newest" if newest else "first"
    assert warned(settled)["resent"].endswith(f"the {which} were taken")
    assert {each.state.value for each in settled.deliveries} >= {"waiting"}


def come_again(node: Pipeline, instances: Sequence[StoredInstance]) -> None:
    """Once more by C-STORE, as they stand."""
    now, on = datetime.now(UTC), uuid4().hex
    again = [replace(each, received_at=now, association_id=on) for each in instances]
    with node.database.write() as session:
        record_instances(session, again)


@pytest.mark.parametrize("count", [pytest.param(12, marks=pytest.mark.long), 5])
def test_a_correction_that_is_taken_back_at_once(
    node: Pipeline, tmp_path: Path, count: int
) -> None:
    first = write_series(tmp_path / "first", change=wrong_patient)
    uid = series_uid(first)
    node.receive(first)
    with node.database.read() as session:
        stands = instances_of_series(session, uid)
    node.receive(rewritten(first, tmp_path / "then", right_patient))
    come_again(node, stands[:count])
    analyse_all(node)
    mine, theirs = parts(node, uid).values()
    assert theirs.series.state is SeriesState.SKIPPED
    if count < 12:
        assert str(failed(mine)["resent"]).endswith(": held")
        return
    (report,) = reports(node, mine)
    assert report.PatientID == "WRONG-1"
    assert set(failed(theirs)) == {"taken_elsewhere"}


def test_two_patients_copies_that_came_in_turn_are_held(node: Pipeline, tmp_path: Path) -> None:
    """Over two associations at one time: which is the corrected one, no order tells."""
    mine = write_series(tmp_path / "mine", change=wrong_patient)
    theirs = rewritten(mine, tmp_path / "theirs", right_patient)
    for files in (mine[:6], theirs[:6], mine[6:], theirs[6:]):
        node.receive(files)
    analyse_all(node)
    first, second = parts(node, series_uid(mine)).values()
    assert first.series.state is second.series.state is SeriesState.SKIPPED
    assert str(failed(first)["resent"]).endswith(": held")
    assert failed(second).keys() == {"known_elsewhere"}
    for each in (first, second):
        assert f"queue release {first.series.series_key} " in why_text(node, each.series.series_key)
    config = node.write_config(tmp_path)
    with pytest.raises(DataError, match=f"known under {first.series.series_key}$"):
        queue_release(second.series.series_key, Take.NEWEST, config)


@pytest.mark.long
def test_two_that_claim_instances_of_each_other_both_come_to_a_decision(
    node: Pipeline, tmp_path: Path
) -> None:
    mine = write_series(tmp_path / "mine", change=wrong_patient)
    theirs = rewritten(mine, tmp_path / "theirs", right_patient)
    for files in (mine[:6], theirs[6:], mine[6:], theirs[:6]):
        node.receive(files)
    analyse_all(node)
    found = parts(node, series_uid(mine)).values()
    assert [each.series.state for each in found] == [SeriesState.SKIPPED] * 2
    assert all("resent" in failed(each) or "known_elsewhere" in failed(each) for each in found)


@pytest.mark.long
def test_a_part_that_came_again_as_anothers_is_held(node: Pipeline, tmp_path: Path) -> None:
    first = write_series(tmp_path / "first", change=wrong_patient)
    uid = series_uid(first)
    node.receive(first)
    node.receive(rewritten(first[:5], tmp_path / "then", right_patient))
    analyse_all(node)
    mine, theirs = parts(node, uid).values()
    assert mine.series.state is theirs.series.state is SeriesState.SKIPPED
    assert "5 of its 12 instances came again" in failed(mine)["resent"]
    assert failed(theirs)["known_elsewhere"].startswith("5 of its 5 instances are known under")
    node.receive(rewritten(first[5:], tmp_path / "rest", right_patient))
    analyse_all(node)
    assert [each.series.state for each in parts(node, uid).values()] == [
        SeriesState.SKIPPED,
        SeriesState.ANALYSED,
    ]


def test_a_release_decides_on_no_other_patient_under_the_same_uid(
    node: Pipeline, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = write_series(tmp_path / "mine", 2, change=wrong_patient)
    uid = series_uid(mine)

    def under_the_same_uid(data_set: Dataset, _number: int) -> None:
        right_patient(data_set)
        data_set.SeriesInstanceUID = uid

    theirs = write_series(tmp_path / "theirs", 2, seed=1, change=under_the_same_uid)
    node.receive(mine)
    node.receive(theirs)
    node.receive(rewritten(mine, tmp_path / "mine again", other_pixels))
    node.receive(rewritten(theirs, tmp_path / "theirs again", other_pixels))
    assess_all(node)
    config = node.write_config(tmp_path)
    for key, other in ((uid, f"{uid}~2"), (f"{uid}~2", uid)):
        queue_release(key, Take.FIRST, config, as_json=True)
        told = json.loads(capsys.readouterr().out)
        assert told == [{"series_key": key, "take": "first", "instances": 2}]
        assess_all(node)
        assert "resent" in warned(node.detail(key))
        if key == uid:
            assert "resent" in failed(node.detail(other))


@pytest.mark.parametrize(
    ("policy", "state", "patient"),
    [("hold", SeriesState.SKIPPED, None), ("first", SeriesState.ANALYSED, "WRONG-1")],
)
def test_the_other_policies(
    node: Pipeline, tmp_path: Path, policy: str, state: SeriesState, patient: str | None
) -> None:
    receive = node.settings.receive.model_copy(update={"resend_conflict": ResendPolicy(policy)})
    node.settings = node.settings.model_copy(update={"receive": receive})
    first = write_series(tmp_path / "first", change=wrong_patient)
    uid = series_uid(first)
    node.receive(first)
    node.receive(rewritten(first, tmp_path / "then", right_patient))
    analyse_all(node)
    mine, theirs = parts(node, uid).values()
    assert (mine.series.state, theirs.series.state) == (state, SeriesState.SKIPPED)
    assert [report.PatientID for report in reports(node, mine)] == [patient] * bool(patient)
    assert "resent" in (warned(mine) if patient else failed(mine))


def test_known_instances_under_another_series_are_told_from_both_sides(
    node: Pipeline, tmp_path: Path
) -> None:
    options = ResultOptions(note="all", key_slices=1)
    node.settings = node.settings.model_copy(update={"results": options})
    first = write_series(tmp_path / "first", change=wrong_patient)
    uid = series_uid(first)

    def moved(data_set: Dataset) -> None:
        data_set.SeriesInstanceUID, data_set.StudyInstanceUID = "1.2.3.77.1", "1.2.3.77"

    node.receive(first)
    node.receive(rewritten(first, tmp_path / "moved", moved))
    analyse_all(node)
    study = node.detail(uid).series.study_instance_uid
    other = node.detail("1.2.3.77.1")
    assert node.detail(uid).series.state is SeriesState.ANALYSED
    assert (other.series.state, other.series.study_instance_uid) == (
        SeriesState.SKIPPED,
        "1.2.3.77",
    )
    told = f"12 of its 12 instances are known under series {uid} of study {study}"
    assert failed(other) == {"known_elsewhere": told}
    assert "came again under series 1.2.3.77.1 of study 1.2.3.77" in why_text(node, uid)
    assert f"12 instances that name this series are known under series {uid}" in why_text(
        node, "1.2.3.77.1"
    )
    NoteWriter(node.settings, node.database).write_due(datetime.now(UTC))
    notes = reports(node, node.detail("1.2.3.77.1"), "note")
    assert {note.StudyInstanceUID for note in notes} == {"1.2.3.77"}
    assert any(f"known under series {uid}" in note.to_json() for note in notes)


def test_a_series_that_lacks_what_is_known_elsewhere_is_no_volume(
    node: Pipeline, tmp_path: Path
) -> None:
    first = write_series(tmp_path / "first")
    moved = rewritten(
        first, tmp_path / "moved", lambda d: setattr(d, "SeriesInstanceUID", "1.2.3.78")
    )
    node.receive(first[:2])
    node.receive(moved)
    analyse_all(node)
    detail = node.detail("1.2.3.78")
    assert (detail.series.state, detail.series.instance_count) == (SeriesState.SKIPPED, 10)
    assert failed(detail)["known_elsewhere"].startswith("2 of its 12 instances are known under")


@pytest.mark.long
def test_a_lost_index_is_made_again_with_the_same_owners(node: Pipeline, tmp_path: Path) -> None:
    first = write_series(tmp_path / "first", change=wrong_patient)
    uid = series_uid(first)
    node.receive(first)
    node.receive(rewritten(first, tmp_path / "then", right_patient))
    again = f"sqlite:///{tmp_path / 'again.sqlite3'}"
    other = Pipeline(tmp_path / "data", node.settings.inference.bundles[0][1], (), again)
    other.receive([])
    analyse_all(other)
    found = parts(other, uid)
    states = {each.series.state: each for each in found.values()}
    assert set(states) == {SeriesState.SKIPPED, SeriesState.ANALYSED}
    (report,) = reports(other, states[SeriesState.ANALYSED])
    assert report.PatientID == "RIGHT-1"
    other.database.close()
