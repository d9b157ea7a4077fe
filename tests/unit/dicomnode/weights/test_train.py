"""What is asked of a training is looked at before its data are."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from dicomnode.errors import ConfigurationError
from dicomnode.weights.train import TrainRequest, train
from dicomnode.weights.train_view import TrainView


def test_a_task_that_nobody_trains_is_told_with_those_that_are(tmp_path: Path) -> None:
    request = TrainRequest("nothing", tmp_path / "no.csv", tmp_path / "out")
    told = "no task 'nothing': one of covnet, lungs, regions is trained"
    with pytest.raises(ConfigurationError, match=told):
        train(request, TrainView(Console(file=StringIO())), lambda: False)
    assert not request.out.exists()
