from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.sealed_house import SealedHouse


@pytest.fixture
def house(tmp_path: Path) -> Iterator[SealedHouse]:
    made = SealedHouse(tmp_path)
    yield made
    made.database.close()
