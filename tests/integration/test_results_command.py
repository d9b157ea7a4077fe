"""`dicomnode results`: what was sent, sent again, withdrawn, by the command line."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from pydicom.uid import (
    BasicTextSRStorage,
    Comprehensive3DSRStorage,
    KeyObjectSelectionDocumentStorage,
)

from dicomnode.config.destinations import WebDestination
from dicomnode.config.reading import load_settings
from dicomnode.data_directory.cleaner import Cleaner
from dicomnode.data_directory.holding import keep_settings
from dicomnode.decisions.retention import RetentionPolicy
from dicomnode.results.documents.text import report_as_text
from storage.decided import Withdrawal
from storage.records import DeliveryState, SeriesState
from support.command import dicomnode
from support.phantom import series_uid, write_series
from support.result_site import OBJECTS, Site, write_config
from support.stow_server import running_stow_server
from support.validators import dciodvfy_errors
from support.wait import PATIENCE_SECONDS, wait_for


@pytest.fixture
def site(unsent: Site) -> Site:
    """All results are with both PACS."""
    assert unsent.deliver() == 2 * OBJECTS
    return unsent


def test_list_and_show_tell_where_results_are(site: Site) -> None:
    (listed,) = site.json("list")
    assert (listed["series_instance_uid"], listed["state"]) == (site.uid, "standing")
    assert len(listed["results"]) == OBJECTS
    assert {each["state"] for each in listed["deliveries"]} == {"stored"}
    assert f"{2 * OBJECTS}/{2 * OBJECTS}" in site.run("list")
    (shown,) = site.json("show", site.uid)
    assert shown == listed
    text = site.run("show", listed["results"][0]["sop_instance_uid"])
    assert "state    standing" in text
    assert text.count("rejecting") == 1, "the objects of which all is alike, in one row"
    assert "none has the UID" in site.run("show", "9.9.9", status=1)


def test_resend_sends_the_same_objects_again(site: Site) -> None:
    before = site.plain.by_uid()
    assert f"{2 * OBJECTS} deliveries" in site.run("resend", site.uid)
    assert site.deliver() == 2 * OBJECTS
    assert len(site.plain.received) == 2 * OBJECTS
    assert site.plain.by_uid() == before


def test_resend_says_which_destination_has_no_report_in_its_class(site: Site) -> None:
    with site.config.open("a") as config:
        config.write('sr_class = "enhanced"\n')  # of the last destination, plain
    done = dicomnode("results", "resend", site.uid, "--config", str(site.config))
    assert f"{OBJECTS} deliveries" in done.stdout
    assert "plain: no report was made in its sr_class" in done.stderr
    told = site.json("resend", site.uid)
    assert told == {"series_key": site.uid, "count": OBJECTS, "without_report": ["plain"]}
    assert "Traceback" not in done.stderr


def test_retract_rejects_where_that_is_taken_and_supersedes_elsewhere(site: Site) -> None:
    withdrawn = set(site.plain.by_uid())
    report = next(d for d in site.plain.received if d.SOPClassUID == Comprehensive3DSRStorage)
    told = site.json("retract", site.uid, "--yes")
    assert (set(told["withdrawn"]), told["told"]) == (withdrawn, ["plain", "rejecting"])
    assert site.deliver() == 2

    note = site.rejecting.received[-1]
    assert note.SOPClassUID == KeyObjectSelectionDocumentStorage
    assert note.ConceptNameCodeSequence[0].CodeValue == "113037"
    (study,) = note.CurrentRequestedProcedureEvidenceSequence
    named = {
        item.ReferencedSOPInstanceUID
        for series in study.ReferencedSeriesSequence
        for item in series.ReferencedSOPSequence
    }
    assert named == withdrawn
    assert note.PatientID == report.PatientID

    instead = site.plain.received[-1]
    assert instead.SOPClassUID == BasicTextSRStorage
    assert instead.SeriesInstanceUID != report.SeriesInstanceUID
    assert instead.SeriesDescription.startswith("WITHDRAWN")
    (predecessor,) = instead.PredecessorDocumentsSequence
    (reference,) = predecessor.ReferencedSeriesSequence[0].ReferencedSOPSequence
    assert reference.ReferencedSOPInstanceUID == report.SOPInstanceUID
    for path in site.node.settings.result_files.rglob("*.dcm"):
        assert dciodvfy_errors(path) == []


def test_a_withdrawal_goes_to_dicomweb_servers_too(unsent: Site) -> None:
    with running_stow_server() as rejecting, running_stow_server() as plain:
        places = (
            WebDestination(name="rejecting", url=rejecting.url, rejection_notes=True),
            WebDestination(name="plain", url=plain.url),
        )
        changed = {"destinations": places}
        unsent.node.settings = unsent.node.settings.model_copy(update=changed)
        write_config(unsent.config, places)
        assert unsent.deliver() == 2 * OBJECTS
        told = unsent.json("retract", unsent.uid, "--yes")
        assert told["told"] == ["plain", "rejecting"]
        assert unsent.deliver() == 2
        words = {rejecting: KeyObjectSelectionDocumentStorage, plain: BasicTextSRStorage}
        for server, word in words.items():
            assert {each.uid for each in server.requests[:OBJECTS]} == set(told["withdrawn"])
            (last,) = server.requests[OBJECTS:]
            assert pydicom.dcmread(BytesIO(last.part)).SOPClassUID == word
    states = {each.state for each in unsent.node.detail(unsent.uid).deliveries}
    assert states == {DeliveryState.STORED}


def test_retract_again_changes_nothing_and_nothing_is_sent_again(site: Site) -> None:
    site.run("retract", site.uid, "--yes")
    assert site.deliver() == 2
    again = site.json("retract", site.uid, "--reason", "worklist")
    assert (again["already_withdrawn"], again["told"]) == (True, [])
    assert site.deliver() == 0
    assert "are withdrawn: not sent again" in site.run("resend", site.uid, status=1)
    newest, first = site.json("list")
    assert (newest["state"], first["state"]) == ("retraction", "withdrawn")
    assert site.json("list", group="queue")[0]["progress"] == "withdrawn"
    assert f"results reinstate {site.uid}" in site.json("why", site.uid, group="queue")["next"]
    (entry,) = site.node.detail(site.uid).series.history
    assert isinstance(entry, Withdrawal)
    assert (entry.state, entry.why) == ("retracted", "safety")


def test_what_was_not_sent_yet_is_only_stopped(unsent: Site) -> None:
    assert unsent.json("retract", unsent.uid, "--yes")["told"] == []
    assert unsent.deliver() == 0
    states = {(e.state, e.error) for e in unsent.node.detail(unsent.uid).deliveries}
    assert states == {(DeliveryState.ABANDONED, "retracted")}
    done = dicomnode("queue", "why", unsent.uid, "--config", str(unsent.config))
    assert "before: retracted" in done.stdout


def test_a_set_whose_files_are_gone_cannot_be_withdrawn(site: Site) -> None:
    (report,) = [r for r in site.node.detail(site.uid).results if r.kind == "sr"]
    (site.node.settings.result_files / report.path).unlink()
    assert "its file cannot be read" in site.run("retract", site.uid, "--yes", status=1)
    assert site.json("list")[0]["state"] == "standing"


def test_retract_without_anybody_to_ask_refuses(site: Site) -> None:
    told = site.run("retract", site.uid, status=2)
    assert "give --yes" in told
    assert "delivered to plain, rejecting; reason: safety" in told
    (listed,) = site.json("list")
    assert listed["state"] == "standing"


@pytest.mark.parametrize(("answer", "state"), [("n", "standing"), ("y", "withdrawn")])
def test_retract_asks_at_a_terminal(unsent: Site, answer: str, state: str) -> None:
    keyboard, terminal = os.openpty()
    command = [sys.executable, "-m", "dicomnode", "results", "retract", unsent.uid]
    os.write(keyboard, f"{answer}\n".encode())
    done = subprocess.run(
        [*command, "--config", str(unsent.config)],
        stdin=terminal,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    os.close(keyboard)
    os.close(terminal)
    assert "Withdraw them?" in done.stderr
    assert done.returncode == (0 if answer == "y" else 1)
    assert {each["state"] for each in unsent.json("list")} == {state}


def test_reinstate_sends_the_same_results_under_uids_of_their_own(site: Site) -> None:
    before = site.plain.by_uid()
    assert "are not withdrawn" in site.run("reinstate", site.uid, "--yes", status=1)
    site.run("retract", site.uid, "--yes")
    assert site.deliver() == 2
    assert "give --yes" in site.run("reinstate", site.uid, status=2)
    for each in (site.rejecting, site.plain):
        each.begin()
    uids = set(site.json("reinstate", site.uid, "--yes")["reinstated"])
    assert site.deliver() == 2 * OBJECTS
    assert set(site.plain.by_uid()) == set(site.rejecting.by_uid()) == uids
    assert not uids & before.keys()
    (report,) = (e for e in site.plain.received if e.SOPClassUID == Comprehensive3DSRStorage)
    assert "Reinstates report" in report_as_text(report)
    for path in site.node.settings.result_files.rglob("*.dcm"):
        assert dciodvfy_errors(path) == []

    newest, retraction, withdrawn = site.json("list")
    states = [each["state"] for each in (newest, retraction, withdrawn)]
    assert states == ["standing", "retraction", "withdrawn"]
    old = withdrawn["results"][0]["sop_instance_uid"]
    assert "newer set in their place" in site.run("reinstate", old, "--yes", status=1)
    assert "before: reinstated" in site.run("why", site.uid, group="queue")
    assert site.json("list", group="queue")[0]["progress"] != "withdrawn"
    assert set(site.json("retract", site.uid, "--yes")["withdrawn"]) == uids
    assert site.deliver() == 2
    again = set(site.json("reinstate", site.uid, "--yes")["reinstated"])
    assert not again & (uids | before.keys())


_STANDING_STILL = """
import time
from dicomnode.cli.main import main
from storage import result_sets
result_sets.enter_withdrawal = lambda *_: time.sleep(600)
main()
"""


@pytest.mark.parametrize("sent", [False, pytest.param(True, marks=pytest.mark.long)])
def test_a_withdrawal_that_is_killed_half_way_is_one(unsent: Site, sent: bool) -> None:
    """The command stands still in its transaction: it has written the files, and is killed."""
    if sent:
        assert unsent.deliver() == 2 * OBJECTS
    before = unsent.plain.by_uid().keys() | unsent.rejecting.by_uid().keys()
    folder = unsent.node.settings.result_files / "withdrawn"
    arguments = ["results", "retract", unsent.uid, "--yes", "--config", str(unsent.config)]
    with subprocess.Popen([sys.executable, "-c", _STANDING_STILL, *arguments]) as retracting:
        wait_for(
            lambda: list(folder.rglob("*.json")) or retracting.poll() is not None,
            "it is withdrawn beside the results",
        )
        retracting.kill()
    assert unsent.json("list")[0]["state"] == "standing", "the database knows nothing of it"

    unsent.deliver()
    assert unsent.plain.by_uid().keys() | unsent.rejecting.by_uid().keys() == before
    Cleaner(unsent.node.settings, RetentionPolicy(), unsent.node.database).clean(datetime.now(UTC))
    assert unsent.deliver() == (2 if sent else 0), "who has it is told, and nobody else"
    states = [each["state"] for each in unsent.json("list")]
    assert states == (["retraction", "withdrawn"] if sent else ["withdrawn"])


def test_a_program_says_that_it_means_it(site: Site) -> None:
    """With --json nobody is asked, at a terminal neither."""
    assert "give --yes" in site.run("retract", site.uid, "--json", status=2)
    assert {each["state"] for each in site.json("list")} == {"standing"}


def test_renew_finds_a_series_without_any_result(site: Site, tmp_path: Path) -> None:
    """It was skipped, and there is no note: it is found as `queue` finds it."""
    files = write_series(tmp_path / "short", slices=2, seed=5)
    site.node.receive(files)
    site.node.assess()
    uid = series_uid(files)
    assert site.node.detail(uid).series.state is SeriesState.SKIPPED
    assert site.node.detail(uid).results == ()
    assert "no node has run yet" in site.run("renew", uid, status=2)
    keep_settings(load_settings(site.config))
    assert "is decided on and analysed again" in site.run("renew", uid)
    assert site.node.detail(uid).series.state is SeriesState.RECEIVING
    assert "is not decided yet" in site.run("renew", uid, status=1)
    assert "none has the UID" in site.run("renew", "9.9.9", status=1)
