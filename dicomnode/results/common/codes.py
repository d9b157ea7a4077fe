"""Codes of the result objects, as data.

Those of classes are on the cards of models. Standard codes are from PS3.16; private ones bear the
designator 99COVNET and are declared in the object's Coding Scheme Identification Sequence (PS3.3
Table C.12-1). That a code exists is checked against pydicom's dictionaries in the tests.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

from dicomnode.decisions.agreement import Relation
from inference.findings import PRIVATE_SCHEME, FindingClass, Training
from inference.regions import Side

PRIVATE_SCHEME_NAME = "Chest CT classification, private codes of this product"

REPORT_TITLE = Code("126000", "DCM", "Imaging Measurement Report")
PROCEDURE = Code("25045-6", "LN", "CT unspecified body region")  # chest CT is not in CID 100
SUMMARY = Code("121111", "DCM", "Summary")
DEVICE = Code("121007", "DCM", "Device")
IMAGE_LIBRARY = Code("111028", "DCM", "Image Library")
IMAGE_LIBRARY_GROUP = Code("126200", "DCM", "Image Library Group")
SOURCE = Code("260753009", "SCT", "Source")
MODALITY = Code("121139", "DCM", "Modality")
COMPUTED_TOMOGRAPHY = Code("CT", "DCM", "Computed Tomography")
FRAME_OF_REFERENCE = Code("112227", "DCM", "Frame of Reference UID")
LUNG = Code("39607008", "SCT", "Lung")
BILATERAL = Code("51440002", "SCT", "Bilateral")
ARTIFICIAL_INTELLIGENCE = Code("123110", "DCM", "Artificial Intelligence")
QUALITATIVE_EVALUATIONS = Code("C0034375", "UMLS", "Qualitative Evaluations")
SUMMARY_OF_ANALYSES = Code("111065", "DCM", "Summary of Analyses")
SUCCEEDED = Code("111222", "DCM", "Succeeded")  # CID 6042
PARTIALLY_SUCCEEDED = Code("111223", "DCM", "Partially Succeeded")
FAILED = Code("111224", "DCM", "Failed")
SOURCE_OF_MEASUREMENT = Code("121112", "DCM", "Source of Measurement")
RIGHT = Code("24028007", "SCT", "Right")  # CID 244
LEFT = Code("7771000", "SCT", "Left")
SIDES: Mapping[Side, Code] = {Side.RIGHT: RIGHT, Side.LEFT: LEFT}
PERCENT = Code("%", "UCUM", "Percent")
MILLIMETRE = Code("mm", "UCUM", "mm")
PIXELS = Code("{pixels}", "UCUM", "Pixels")
COSINE = Code("{-1:1}", "UCUM", "{-1:1}")

MILLILITRE = Code("ml", "UCUM", "ml")
SCORE = Code("{0:1}", "UCUM", "{0:1}")

MOST_PROBABLE_CLASS = Code("CLASS", PRIVATE_SCHEME, "Most probable class")
CLASSIFICATION = Code("CLASSIFICATION", PRIVATE_SCHEME, "AI classification of the lungs")
CASE_BY_REGIONS = Code("CASE_BY_REGIONS", PRIVATE_SCHEME, "AI outcome of all candidate regions")
CANDIDATE_REGION = Code("REGION", PRIVATE_SCHEME, "AI candidate region of infection")
OUTCOME = Code("OUTCOME", PRIVATE_SCHEME, "Outcome by regions")
AGREEMENT = Code("AGREEMENT", PRIVATE_SCHEME, "Agreement of the two methods")
AGREEMENT_OF_ALL = Code("AGREEMENT", PRIVATE_SCHEME, "Agreement of the methods")
LESION_VOLUME = Code("LESION_ML", PRIVATE_SCHEME, "Lesion volume in the region")
RELATIONS: Mapping[Relation, Code] = {
    Relation.AGREE: Code("AGREE", PRIVATE_SCHEME, "The methods agree"),
    Relation.AS_FAR_AS_KNOWN: Code(
        "AGREE_IN_PART", PRIVATE_SCHEME, "The methods agree as far as their class sets go"
    ),
    Relation.DIFFER: Code("DIFFER", PRIVATE_SCHEME, "The methods differ"),
    Relation.NOT_COMPARABLE: Code("NOT_COMPARABLE", PRIVATE_SCHEME, "Not comparable"),
}
WHY_FAILED = Code("WHY_FAILED", PRIVATE_SCHEME, "Why an analysis failed")
CENTRE_LPS = tuple(
    Code(f"CENTRE_{axis}", PRIVATE_SCHEME, f"Centre {axis.lower()}, towards {side} (LPS)")
    for axis, side in (("X", "the left"), ("Y", "the back"), ("Z", "the head"))
)

SOURCE_FOR_PROCESSING = Code("121322", "DCM", "Source image for image processing operation")
GRADIENT_CAM = Code("130403", "DCM", "Gradient-weighted class activation")
ACQUISITION_EQUIPMENT = Code("109101", "DCM", "Acquisition Equipment")


_PREFIXES = {Training.UNTRAINED: "UNTRAINED", Training.DEMONSTRATION: "DEMONSTRATION"}


def code_of(found: FindingClass) -> Code:
    """The code of a class, as the card of the model has it."""
    return Code(found.value, found.scheme, found.meaning)


def analysis_name(key: str, words: str) -> Code:
    """The analysis of one method, by its key and words."""
    return Code(f"ANALYSIS_{key[:7].upper()}", PRIVATE_SCHEME, f"AI {words}"[:64])


def probability_name(of: FindingClass, training: Training) -> Code:
    """What a probability is called; other than of a model for patients it is another quantity.

    Viewers show this name beside the number, over the CT, and nothing else of the report.
    """
    return _score_name("P", "Probability of", of, training)


def noisy_or_name(of: FindingClass, training: Training) -> Code:
    """P of Xu et al. 2020, equation 1: no probability of a disease, and not called one."""
    return _score_name("NOR", "Noisy-or score of", of, training)


def softmax_name(of: FindingClass, training: Training) -> Code:
    """S of Xu et al. 2020, equation 2."""
    return _score_name("SOFT", "Softmax score of", of, training)


def confidence_name(of: FindingClass, training: Training) -> Code:
    """Of a region's vote (Xu et al. 2020, section 2.6.1)."""
    return _score_name("CONF", "Region confidence,", of, training)


def _score_name(value: str, words: str, of: FindingClass, training: Training) -> Code:
    return marked(Code(f"{value}_{of.short}", PRIVATE_SCHEME, f"{words} {of.name}"), training)


def marked(code: Code, training: Training) -> Code:
    """The private code of what is measured, or another one that names such weights first."""
    prefix = _PREFIXES.get(training)
    if prefix is None:
        return code
    meaning = code.meaning
    return Code(
        f"{code.value}_{prefix[0]}",  # 16 characters at most (VR SH)
        code.scheme_designator,
        f"{prefix} {meaning[0].lower()}{meaning[1:]}",
    )


def code_item(code: Code) -> Dataset:
    """One item of a code sequence (Code Sequence Macro, PS3.3 section 8.8)."""
    item = Dataset()
    item.CodeValue = code.value
    item.CodingSchemeDesignator = code.scheme_designator
    item.CodeMeaning = code.meaning
    return item
