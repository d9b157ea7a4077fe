"""Reports: nothing is taken for markup, everything said at the head, pictures drawn."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from inference.bundles.card import Metric
from inference.evaluation.measures.classification import Cases, classify
from inference.evaluation.measures.confusion import ConfusionMatrix
from inference.evaluation.measures.estimate import wilson
from inference.evaluation.measures.localisation import HeatShares
from inference.evaluation.measures.overlap import MaskAgreement
from inference.evaluation.report.classes import (
    calibration_blocks,
    class_blocks,
    class_metrics,
    metric,
    strata_blocks,
)
from inference.evaluation.report.comparison import comparison_blocks
from inference.evaluation.report.document import (
    Document,
    Heading,
    Notice,
    Paragraph,
    Picture,
    Table,
)
from inference.evaluation.report.heat import HeatCase, gallery_blocks, heat_blocks, heat_metrics
from inference.evaluation.report.lungs import LungCase, lung_blocks, lung_metrics
from inference.evaluation.report.pages import to_html, to_markdown
from inference.evaluation.report.plots import confusion_plot, gallery_plot, roc_plot
from inference.evaluation.report.regions import RegionCase, region_blocks, region_metrics
from inference.evaluation.report.report import Evaluated, counts_report, report
from inference.evaluation.report.wording import bounds, figure, per_cent, with_interval
from inference.findings import IntendedUse, Training
from support.bundles import LUNG_CARD

EVIL = "<script>alert(1)</script> | *a* _b_ [c](http://d) `e` &amp; #f"
CLASSES = ("a", "b", "c")


def table_of(blocks: Sequence[object], first_column: str) -> Table:
    (found,) = (
        each for each in blocks if isinstance(each, Table) and each.columns[0] == first_column
    )
    return found


def words_of(blocks: Sequence[object]) -> str:
    return " ".join(each.text for each in blocks if isinstance(each, Paragraph | Notice))


def cases(patients: int = 12, scans: int = 2) -> Cases:
    random = np.random.default_rng(0)
    truth = np.repeat(np.arange(patients) % 3, scans)
    scores = random.dirichlet((1, 1, 1), len(truth))
    scores[np.arange(len(truth)), truth] += 0.5
    scores /= scores.sum(axis=1, keepdims=True)
    names = tuple(f"p{number // scans}" for number in range(len(truth)))
    return Cases(CLASSES, truth, scores.argmax(axis=1), scores, names)


class _Texts(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:  # noqa: ARG002  (of the parser)
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def evil_document() -> Document:
    blocks = (
        Heading(EVIL),
        Paragraph(EVIL),
        Notice(EVIL),
        Table((EVIL, "x"), ((EVIL, "two\nlines"),)),
        Picture("p.png", f'" onload="x {EVIL}', b"\x89PNG"),
    )
    return Document(EVIL, blocks)


def test_html_takes_nothing_for_markup() -> None:
    parser = _Texts()
    parser.feed(to_html(evil_document()))
    assert "script" not in parser.tags
    assert parser.texts.count(EVIL) == 2 + 3 + 2  # title and heading, blocks, cells
    assert "onload" not in "".join(parser.texts)
    assert "a" not in parser.tags


def test_markdown_takes_nothing_for_markup() -> None:
    text = to_markdown(evil_document())
    assert r"\<script\>alert(1)\</script\> \| \*a\* \_b\_ \[c\](http://d) \`e\` \&amp; \#f" in text
    assert "two lines |" in text
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert len(rows) == 3


def test_a_row_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="number of cells"):
        Table(("a", "b"), (("1",),))


def about(training: Training, simulated: bool, failed: tuple[tuple[str, str], ...] = ()) -> str:
    card = replace(LUNG_CARD, training=training, use=IntendedUse.RESEARCH)
    document = report(Evaluated(card, simulated, (("Data", "x"),), failed), [("Part", [])])
    return to_markdown(document)


def test_the_head_says_what_figures_are_worth() -> None:
    assert "UNTRAINED WEIGHTS" in about(Training.UNTRAINED, False)
    assert "No figure of this report has a clinical meaning" in about(Training.UNTRAINED, False)
    assert "SIMULATED LESIONS" in about(Training.DEMONSTRATION, True)
    quiet = about(Training.PATIENTS, False)
    assert "> " not in quiet
    assert "## Part" in quiet


def test_failed_scans_are_said_first_and_listed_last() -> None:
    text = about(Training.PATIENTS, False, (("s1", "no lungs"),))
    assert text.index("1 scan(s) failed") < text.index("## Part") < text.index("| s1 | no lungs |")


def test_counts_alone_give_no_area() -> None:
    matrix = ConfusionMatrix.of(("a", "b"), [0, 0, 1], [0, 1, 1])
    text = to_markdown(counts_report(matrix, "table.csv"))
    assert "there is no AUC" in text
    assert "50 (1 of 2)" in text


def test_classes_are_printed_as_li_does() -> None:
    found = classify(cases(), draws=50)
    blocks = class_blocks(found, "x")
    (first, *_) = table_of(blocks[:1], "Group").rows
    each = found.by_class[0]
    assert first == ("a", per_cent(each.counts.sensitivity), per_cent(each.counts.specificity),
                     with_interval(each.auc))  # fmt: skip
    assert "24 cases of 12 patient(s)" in words_of(blocks)
    assert [each.name for each in blocks if isinstance(each, Picture)] == [
        "x-roc.png",
        "x-confusion.png",
    ]


def test_few_patients_and_absent_classes_are_said() -> None:
    some = cases(patients=3, scans=1)
    blocks = class_blocks(classify(some.some([0, 1])), "x")
    assert "fewer than 5 patients" in words_of(blocks)
    assert "No case of: c." in words_of(blocks)
    assert "not independent" not in words_of(blocks)


def test_an_area_without_variance_is_explained() -> None:
    perfect = cases()
    scores = np.eye(3)[perfect.truth]
    blocks = class_blocks(classify(replace(perfect, scores=scores), draws=20), "x")
    assert "has no variance by DeLong" in words_of(blocks)


def test_metrics_fit_a_card() -> None:
    found = class_metrics(classify(cases(), draws=0), "24 scans")
    assert [each.name for each in found[:4]] == [
        "accuracy",
        "sensitivity, a",
        "specificity, a",
        "AUC, a",
    ]
    assert all(each.problems() == () for each in found)
    assert found[3].data == "24 scans; interval: DeLong"
    assert isinstance(metric("x", wilson(3, 4), "y"), Metric)


def test_calibration_has_its_figures_and_its_curve() -> None:
    words, picture = calibration_blocks(cases(), "x")
    assert isinstance(words, Paragraph)
    assert "Brier score 0." in words.text
    assert isinstance(picture, Picture)


def test_strata_are_by_class() -> None:
    known = [{"sex": "F" if number % 4 < 3 else "M"} for number in range(24)]
    blocks = strata_blocks(cases(), [*known[:22], {}, {"scanner": "x"}], ("sex", "scanner"))
    rows = table_of(list(blocks), "Stratum").rows
    assert {row[1] for row in rows} <= set(CLASSES)
    assert any(row[0].startswith("sex F: ") for row in rows)
    assert "scanner x (1)" in words_of(list(blocks))
    (nothing,) = strata_blocks(cases(), [{}] * 24, ("sex",))
    assert isinstance(nothing, Paragraph)


def test_two_models_are_compared_class_by_class() -> None:
    some = cases()
    words, table = comparison_blocks(some, np.random.default_rng(1).random(some.scores.shape))
    assert isinstance(words, Paragraph)
    assert isinstance(table, Table)
    assert [row[0] for row in table.rows] == list(CLASSES)
    assert all(float(row[1]) > float(row[2]) for row in table.rows)
    _, same = comparison_blocks(some, some.scores)
    assert isinstance(same, Table)
    assert {row[4] for row in same.rows} == {"–"}


def heat(scan: str, label: str, whole: float, right: bool = True) -> HeatCase:
    return HeatCase(scan, scan, label, right, HeatShares(whole, whole, 0.1))


def test_heat_is_told_by_label_and_without_scans_that_have_none() -> None:
    known = [heat("1", "a", 0.8), heat("2", "b", 0.4, right=False), heat("3", "a", math.nan)]
    rows = {row[0]: row for row in table_of(list(heat_blocks(known)), "Scans").rows}
    assert rows["all"][1] == "2"
    assert rows["all"][2].startswith("0.60 ")
    assert rows["rightly classified"][1] == rows["a"][1] == "1"
    (found,) = heat_metrics(known, "data")
    assert found.value == pytest.approx(0.6)
    assert found.cases == 2
    assert heat_metrics(known[2:], "data") == []
    assert isinstance(heat_blocks(known[2:])[0], Paragraph)
    assert gallery_blocks([]) == []


def region_case() -> RegionCase:
    patches = np.array([[[0.8, 0.1, 0.1]] * 3, [[0.2, 0.2, 0.6]] * 3])
    return RegionCase("s", "p", (0, 0), (0, 2), patches, ((0, True), (1, False)))


def test_regions_are_told_as_in_xu() -> None:
    blocks = list(region_blocks([region_case()], CLASSES))
    tables = [each for each in blocks if isinstance(each, Table)]
    assert [table.rows[0] for table in tables if table.columns[0].startswith("truth")] == [
        ("a", "3", "0", "3"),
        ("a", "1", "0", "1"),
    ]
    found = {each.name: each for each in region_metrics([region_case()], CLASSES, "x")}
    assert found["accuracy of patches"].value == 0.5
    assert found["lesions with a candidate region, a"].value == 1.0
    assert found["lesions with a candidate region, b"].value == 0.0
    assert "lesions with a candidate region, c" not in found


def test_scans_without_any_region_are_said() -> None:
    none = RegionCase("s", "p", (), (), np.empty((0, 3, 3)), ((0, False),))
    blocks = list(region_blocks([none], CLASSES))
    assert "No candidate region" in words_of(blocks)
    assert table_of(blocks, "Class of the lesion").rows[0][1].startswith("0 (0 of 1)")


def test_lungs_stand_beside_the_classical_method() -> None:
    some = [
        LungCase("s1", "p1", MaskAgreement(0.9, 90, 100), MaskAgreement(0.8, 80, 100)),
        LungCase("s2", "p2", MaskAgreement(0.8, 110, 100), None),
    ]
    blocks = list(lung_blocks(some))
    network, classical = table_of(blocks, "Method").rows
    assert network[1:4] == ("2", "0.850 [0.800, 0.900]", "0.800")
    assert classical[1] == "1"
    assert table_of(blocks, "Scan").rows[1] == ("s2", "0.800", "–", "110", "100")
    (found,) = lung_metrics(some, "x")
    assert found.value == pytest.approx(0.85)


def test_figures_that_are_none_are_a_dash() -> None:
    matrix = ConfusionMatrix.of(("a", "b"), [0], [0])
    assert per_cent(matrix.by_class[1].sensitivity) == "–"
    assert with_interval(None) == bounds(None) == bounds((math.nan, 1.0)) == figure(math.nan) == "–"


def test_pictures_are_the_same_each_time() -> None:
    found = classify(cases(), draws=20)
    first, second = roc_plot(found.by_class), roc_plot(found.by_class)
    assert first == second
    picture = Image.open(io.BytesIO(first))
    assert picture.width > 400
    assert len(picture.convert("RGB").getcolors(100000) or ()) > 10


def test_all_of_a_gallery_and_a_matrix_is_in_the_picture() -> None:
    tile = np.zeros((40, 80, 3), np.uint8)
    tile[:, :, 0] = 255
    one, three = (
        np.asarray(Image.open(io.BytesIO(gallery_plot([("x", tile)] * count))).convert("RGB"))
        for count in (1, 3)
    )
    red = [int((picture == (255, 0, 0)).all(axis=-1).sum()) for picture in (one, three)]
    assert red[1] == pytest.approx(3 * red[0], rel=0.1)
    matrix = ConfusionMatrix.of(("a long name of a class", "b"), [0, 1], [0, 1])
    drawn = np.asarray(Image.open(io.BytesIO(confusion_plot(matrix))).convert("L"))
    edges = np.concatenate([drawn[:, :3].ravel(), drawn[:, -3:].ravel(), drawn[:3].ravel()])
    assert edges.min() > 200  # nothing is cut off


def test_a_document_is_written_to_the_letter() -> None:
    table = Table(("a", "b_c"), (("1", "2 < 3"), ("", "4")))
    blocks = (Heading("Part", 3), Paragraph("Words."), table, Picture("a_b.png", "curve", b"x"))
    document = Document("Title & all", blocks)
    assert to_markdown(document) == (
        "# Title \\& all\n\n### Part\n\nWords.\n\n"
        "| a | b\\_c |\n| --- | --- |\n| 1 | 2 \\< 3 |\n|  | 4 |\n\n![curve](a_b.png)\n"
    )
    assert to_html(document).partition("<body>\n")[2] == (
        '<h1>Title &amp; all</h1>\n<h3 id="part">Part</h3>\n<p>Words.</p>\n'
        "<table>\n<tr><th>a</th><th>b_c</th></tr>\n<tr><td>1</td><td>2 &lt; 3</td></tr>\n"
        "<tr><td></td><td>4</td></tr>\n</table>\n"
        '<p><img alt="curve" src="data:image/png;base64,eA=="></p>\n</body>\n</html>\n'
    )
