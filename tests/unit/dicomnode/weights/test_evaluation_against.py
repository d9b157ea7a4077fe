from __future__ import annotations

from pathlib import Path

import pytest

from dicomnode.weights.evaluation_against import PROBABILITIES, read_scores
from inference.errors import EvaluationError


def test_scores_of_another_evaluation(tmp_path: Path) -> None:
    lines = "scan,state,p: a,p: b\nx,analysed,0.25,0.75\ny,failed,,\n"
    (tmp_path / PROBABILITIES).write_text(lines)
    assert read_scores(tmp_path, ("b", "a")) == {"x": (0.75, 0.25)}
    with pytest.raises(EvaluationError, match="no column 'p: c'"):
        read_scores(tmp_path, ("a", "c"))
    (tmp_path / PROBABILITIES).write_text(lines.replace("0.25", "nan"))
    with pytest.raises(EvaluationError, match="not finite"):
        read_scores(tmp_path, ("a", "b"))
    with pytest.raises(EvaluationError, match="No such file"):
        read_scores(tmp_path / "none", ("a", "b"))
