"""The rule that all instances of a series are of one patient and study."""

from __future__ import annotations

from dicomnode.decisions.eligibility.candidate import Candidate
from dicomnode.decisions.patient_attributes import contradictions, differences
from dicomnode.decisions.reasons import Reason, Verdict


def patient(series: Candidate) -> Reason:
    """Over all instances of the series, whichever stack is analysed.

    Who sends it may add an issuer or spell a name otherwise: that is told, and stops nothing.
    """
    found = {header.patient for header in series.headers}
    studies = {header.study_instance_uid for header in series.headers}
    several = contradictions(found)
    if len(studies) > 1:
        several = (f"{len(studies)} studies: {', '.join(sorted(studies)[:3])}", *several)
    if several:
        return Reason("patient", "; ".join(several), "one patient and study", Verdict.FAIL)
    if differing := differences(found):
        text = f"not the same in all instances: {', '.join(differing)}"
        return Reason("patient", text, "one patient and study", Verdict.WARNING)
    return Reason("patient", "one patient and study", "one patient and study", Verdict.PASS)
