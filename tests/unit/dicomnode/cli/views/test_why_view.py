"""`queue why`: the answer first, what fails before what does not, and the key beside each limit."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO

from rich.console import Console

from dicomnode.cli.views.step import Step
from dicomnode.cli.views.why_view import Why, answer_line, print_reasons, print_why, why_json
from dicomnode.decisions.reasons import Reason, Verdict
from dicomnode.decisions.wording import KEYS
from storage.damage import STORE_NODE, DamagedObject
from storage.decided import FormerDecision, NodeLost, Withdrawal
from storage.forgetting import Unreadable
from storage.records import (
    NOTE_KIND,
    DeliveryRecord,
    DeliveryState,
    SeriesDetail,
    SeriesRecord,
    SeriesState,
)
from support.storage_samples import NOW, PASSED, RELEASED, THICK, a_series, result

KEY = "eligibility.max_slice_thickness_mm"
ANSWER = f"skipped: slices are 5.0 mm thick, the limit is 3.0: {KEY}"
SKIPPED = replace(a_series(), state=SeriesState.SKIPPED, ended_at=NOW, reasons=(PASSED, THICK))
NOTE = replace(result("n"), kind=NOTE_KIND)
SENT = DeliveryRecord(
    1, "pacs", DeliveryState.STORED, 1, NOW, NOW, None, "0x0000", None, None, NOTE
)


def why(series: SeriesRecord, *steps: Step, detail: SeriesDetail | None = None) -> Why:
    return Why(detail or SeriesDetail(series), {}, (), {}, steps, NOW)


def printed(told: Why) -> list[str]:
    out = StringIO()
    print_why(Console(file=out, width=120), told)
    return out.getvalue().splitlines()


def test_the_first_line_is_the_answer() -> None:
    assert printed(why(SKIPPED))[0] == ANSWER
    waits = Step("node", "waits for a worker", why="2 before it")
    assert answer_line(why(a_series(), waits)) == "queued: waits for a worker (2 before it)"
    held = replace(SKIPPED, on_hold_since=NOW)
    assert answer_line(why(held, Step("a person", "dicomnode queue release 1.2.3"))) == (
        "on hold: a person: dicomnode queue release 1.2.3"
    )
    done = replace(a_series(), state=SeriesState.ANALYSED)
    assert answer_line(why(done)) == "analysed: the series is done"


def test_what_fails_comes_first_with_the_key_that_sets_its_limit() -> None:
    lines = printed(why(SKIPPED))
    (thick,) = [number for number, line in enumerate(lines) if line.startswith("slice_thickness ")]
    (modality,) = [number for number, line in enumerate(lines) if line.startswith("modality ")]
    assert thick < modality
    assert KEY in lines[thick]
    told = why_json(why(SKIPPED))
    assert told["answer"] == ANSWER
    assert [(each["rule"], each["keys"]) for each in told["reasons"]] == [
        ("slice_thickness", [KEY]),
        ("modality", []),
    ]


def test_on_a_terminal_of_80_columns_no_key_is_broken() -> None:
    reasons = [
        Reason(rule, "1.2.840.10008.5.1.4.1.1.2.1, no plain CT image", 3.0, Verdict.FAIL)
        for rule in KEYS
    ]
    out = StringIO()
    print_reasons(Console(file=out, width=80, force_terminal=True, color_system=None), reasons)
    text = out.getvalue()
    assert "1.2.840.10008.5.1.4.1.1.2.1," in text, "a class is no object's UID"
    assert [key for keys in KEYS.values() for key in keys if key not in text] == []
    assert max(map(len, text.splitlines())) <= 80


def test_notes_and_withdrawals_are_told() -> None:
    withdrawal = Withdrawal(NOW, ("2.25.a",), 60, ("pacs",), "safety", "Rejected for safety")
    former = FormerDecision("failed", NOW, NOW, 1, None, RELEASED, (THICK,), None)
    series = replace(SKIPPED, history=(former, withdrawal))
    detail = SeriesDetail(series, results=(NOTE,), deliveries=(SENT,))
    lines = printed(why(series, detail=detail))
    moment = "2025-03-01 12:00:00 UTC"
    assert f"note     made {moment}: pacs stored" in lines
    assert f"before: retracted {moment}: 1 object, Rejected for safety; told: pacs" in lines
    assert f"before: failed: slice_thickness, 1 instance, decided {moment}" in lines
    told = why_json(why(series, detail=detail))
    assert [each["kind"] for each in told["notes"]] == [NOTE_KIND]
    assert [each["state"] for each in told["history"]] == ["failed", "retracted"]


def test_a_node_that_was_lost_is_told_as_what_was() -> None:
    """The images are here again, or the node itself is: the line stays."""
    lost = NodeLost(NOW, "a" * 32, "host-1", 12), NodeLost(NOW, "a" * 32, "host-1", 0)
    lines = printed(why(replace(SKIPPED, history=lost)))
    begins = "the node host-1 was lost 2025-03-01 12:00:00 UTC: "
    assert f"{begins}12 instances lay there alone, and were sent for" in lines
    assert f"{begins}its results lay there alone, and were made anew" in lines


def test_an_object_that_cannot_be_read_is_told_with_what_is_done() -> None:
    damaged = DamagedObject("series/ab", "1.2.3", "series/ab: is not there", NOW, NOW, 4, None)
    told = why(a_series())
    (line,) = (
        each for each in printed(replace(told, damaged=(damaged,))) if "object store" in each
    )
    assert line.startswith("object store: series/ab: is not there; read in vain 4 times since")
    assert "a node that has a good copy puts it there again" in line
    asked = replace(told, damaged=(replace(damaged, lost_at=NOW),))
    assert any("asked of the archive" in each for each in printed(asked))
    assert why_json(asked)["damaged_objects"][0]["found_count"] == 4
    lost = NodeLost(NOW, STORE_NODE, STORE_NODE, 3)
    (line,) = (
        each for each in printed(why(replace(a_series(), history=(lost,)))) if "good copy" in each
    )
    assert line.startswith("damaged in the object store, and no good copy")


def test_what_is_next_is_told_to_a_program_in_parts() -> None:
    told = why_json(why(a_series(), Step("pacs", "refused SR, parked", remedy="retry it")))
    assert told["next"] == "pacs: refused SR, parked; retry it"
    assert told["next_steps"][0]["who"] == "pacs"


def test_what_a_forgotten_node_took_with_it_is_told_and_what_that_means() -> None:
    forgotten = Unreadable("ct-2", 12, 3, forgotten=True)
    ended = replace(why(SKIPPED), unreadable=(forgotten,))
    (line,) = [each for each in printed(ended) if "ct-2" in each]
    assert line == (
        "the node ct-2 was forgotten; 12 instances lay there alone: without them it cannot be "
        "analysed again; 3 objects lay there alone and were not sent: they are given up"
    )
    gone = replace(why(a_series()), unreadable=(Unreadable("ct-1 before x", 1, 0, False),))
    (line,) = [each for each in printed(gone) if "ct-1" in each]
    told = "1 instance lay there alone: the archive is asked for them"
    assert line == f"ct-1 before x has its files no more; {told}"
    assert why_json(ended)["unreadable"] == [
        {"name": "ct-2", "instances": 12, "unsent": 3, "forgotten": True}
    ]
