"""From analysed scans to what the statistics take, and to the lines of the CSV files."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from dicomnode.weights.evaluation_plan import case_classes
from dicomnode.weights.evaluation_scans import Attempt, LungScan, RegionScan, ScoredScan
from inference.evaluation.measures.classification import Cases
from inference.evaluation.measures.localisation import HeatShares
from inference.evaluation.report.heat import HeatCase
from inference.evaluation.report.lungs import LungCase
from inference.evaluation.report.regions import RegionCase
from inference.findings import Findings

Line = dict[str, str]


def scored_cases(attempts: Sequence[Attempt[ScoredScan]], classes: tuple[str, ...]) -> Cases:
    """One case a scan, by the class with the highest probability."""
    known = [(each.row, each.found) for each in attempts if each.found is not None]
    return Cases(
        classes,
        np.array([classes.index(row.label) for row, _ in known], np.intp),
        np.array([scan.winner for _, scan in known], np.intp),
        np.array([scan.probabilities for _, scan in known]).reshape(-1, len(classes)),
        tuple(row.patient for row, _ in known),
    )


def heat_cases(attempts: Sequence[Attempt[ScoredScan]], classes: tuple[str, ...]) -> list[HeatCase]:
    """Of the scans with lesions of their own class."""
    return [
        HeatCase(
            each.row.scan,
            each.row.patient,
            each.row.label,
            classes[each.found.winner] == each.row.label,
            each.found.shares,
        )
        for each in attempts
        if each.found is not None and each.found.shares is not None
    ]


def region_case_scores(findings: Findings) -> list[float]:
    """Noisy-or of each infection; of none, that no region is one: the product of 1 - P.

    The paper scores infections only; the last is our own choice, for the sake of a curve.
    """
    noisy = findings.answer.scores
    return [*noisy, math.prod(1 - p for p in noisy)]


def region_scan_cases(attempts: Sequence[Attempt[RegionScan]], classes: tuple[str, ...]) -> Cases:
    """One case a scan; what is labelled "irrelevant to infection" has none."""
    names = case_classes("regions", classes)
    none = len(names) - 1
    known = [(each.row, each.found.findings) for each in attempts if each.found is not None]
    verdicts = [findings.answer.winner for _, findings in known]
    return Cases(
        names,
        np.array([names.index(r.label) if r.label in names else none for r, _ in known], np.intp),
        np.array([none if index is None else index for index in verdicts], np.intp),
        np.array([region_case_scores(f) for _, f in known]).reshape(-1, len(names)),
        tuple(row.patient for row, _ in known),
    )


def region_cases(attempts: Sequence[Attempt[RegionScan]]) -> list[RegionCase]:
    """Of the scans whose lesions are known."""
    return [
        _region_case(each, each.found)
        for each in attempts
        if each.found is not None and each.found.matches is not None
    ]


def _region_case(attempt: Attempt[RegionScan], scan: RegionScan) -> RegionCase:
    regions, classes = scan.findings.candidates, len(scan.findings.answer.region_names)
    patches = [[patch.probabilities for patch in region.patches] for region in regions]
    return RegionCase(
        scan=attempt.row.scan,
        patient=attempt.row.patient,
        truth=region_truth(scan),
        voted=tuple(region.vote.class_index for region in regions),
        patches=np.array(patches, np.float64).reshape(-1, 3, classes),
        lesions=tuple((scan.lesions or {}).values()),
    )


def region_truth(scan: RegionScan) -> tuple[int, ...]:
    """Class index of each region: of its lesion, irrelevant where it lies on none."""
    irrelevant, lesions = len(scan.findings.answer.classes), scan.lesions or {}
    return tuple(
        irrelevant if match.lesion is None else lesions[match.lesion][0]
        for match in scan.matches or ()
    )


def lung_cases(attempts: Sequence[Attempt[LungScan]]) -> list[LungCase]:
    """Of the scans that could be analysed."""
    return [
        LungCase(each.row.scan, each.row.patient, each.found.network, each.found.classical)
        for each in attempts
        if each.found is not None
    ]


def scored_line(attempt: Attempt[ScoredScan], classes: tuple[str, ...]) -> Line:
    """Probabilities of one scan, and where its heat lies."""
    line = _line(attempt)
    if attempt.found is None:
        return line
    found = attempt.found
    line["predicted"] = classes[found.winner]
    pairs = zip(classes, found.probabilities, strict=True)
    return line | {f"p: {name}": _number(p) for name, p in pairs} | _shares(found.shares)


def _shares(shares: HeatShares | None) -> Line:
    if shares is None:
        return {}
    return {
        "heat_on_lesions": _number(shares.whole),
        "shown_heat_on_lesions": _number(shares.shown),
        "heat_by_chance": _number(shares.by_chance),
    }


def region_scan_line(attempt: Attempt[RegionScan], classes: tuple[str, ...]) -> Line:
    """The verdict on one scan with its scores."""
    line = _line(attempt)
    if attempt.found is None:
        return line
    findings, names = attempt.found.findings, case_classes("regions", classes)
    scores = zip(names, region_case_scores(findings), strict=True)
    line |= {"predicted": findings.answer.outcome.name}
    line |= {"regions": str(len(findings.candidates))}
    return line | {f"p: {name}": _number(p) for name, p in scores}


def region_lines(attempt: Attempt[RegionScan]) -> list[Line]:
    """One line a patch: its probabilities, its region's vote, and the truth where it is known."""
    scan = attempt.found
    if scan is None:
        return []
    names, truth = scan.findings.answer.region_names, region_truth(scan)
    lines = []
    for number, region in enumerate(scan.findings.candidates):
        x, y, z = region.centre_lps_mm
        of_region = {
            "scan": attempt.row.scan,
            "region": str(number + 1),
            "centre_lps_mm": f"{x:.1f} {y:.1f} {z:.1f}",
            "proposal": _number(region.score),
            "voted": names[region.vote.class_index],
            "confidence": _number(region.vote.confidence),
        }
        if scan.matches is not None:
            match = scan.matches[number]
            of_region |= {
                "truth": names[truth[number]],
                "lesion": "" if match.lesion is None else str(match.lesion),
                "overlap": _number(match.overlap),
            }
        for place, patch in zip(("centre", "feet", "head"), region.patches, strict=True):
            shares = zip(names, patch.probabilities, strict=True)
            lines.append(of_region | {"patch": place} | {f"p: {n}": _number(p) for n, p in shares})
    return lines


def lung_line(attempt: Attempt[LungScan]) -> Line:
    """Dice and volumes of one scan."""
    line = _line(attempt)
    if attempt.found is None:
        return line
    network, classical = attempt.found.network, attempt.found.classical
    line |= {
        "dice": _number(network.dice),
        "found_ml": f"{network.found_ml:.1f}",
        "true_ml": f"{network.true_ml:.1f}",
    }
    if classical is not None:
        line |= {
            "classical_dice": _number(classical.dice),
            "classical_ml": f"{classical.found_ml:.1f}",
        }
    return line


def _line(attempt: Attempt[object]) -> Line:
    row = attempt.row
    return {
        "scan": row.scan,
        "patient": row.patient,
        "split": row.split or "",
        "label": row.label,
        "state": "failed" if attempt.failure else "analysed",
        "reason": attempt.failure or "",
        "seconds": f"{attempt.seconds:.2f}",
    }


def _number(value: float) -> str:
    """Six places; empty where there is no number."""
    return f"{value:.6f}" if math.isfinite(value) else ""


def as_csv(lines: Iterable[Mapping[str, str]]) -> str:
    """A table with all columns that occur, in the order in which they first do."""
    kept = list(lines)
    columns = list(dict.fromkeys(name for line in kept for name in line))
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(kept)
    return out.getvalue()
