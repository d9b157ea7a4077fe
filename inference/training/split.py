"""Who is trained on, who validates, who tests: by patient, never by scan.

Li et al. 2020, "Patients": 9:1 at the patient level into training and independent test; a tenth of
the training part validates.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from inference.training.scan import Split

TENTH = 0.1
_FEWEST_FOR_TEST = 3
"""With fewer patients there is none to spare for the test."""


def draw_splits(patients: Mapping[str, Split | None], seed: int) -> dict[str, Split]:
    """The part of each patient; one that is given stays, and counts towards the tenths.

    The same for the same patients and seed, in whatever order they come. From two patients on one
    validates, from three on one tests.
    """
    drawn = {name: given for name, given in sorted(patients.items()) if given is not None}
    free = sorted(name for name, given in patients.items() if given is None)
    random = np.random.Generator(np.random.PCG64(seed))
    waiting = [free[index] for index in random.permutation(len(free))]
    for part, wanted in _quotas(list(drawn.values()), len(free)):
        for _ in range(min(wanted, len(waiting))):
            drawn[waiting.pop()] = part
    drawn |= dict.fromkeys(waiting, Split.TRAINING)
    return dict(sorted(drawn.items()))


def _quotas(given: list[Split], free: int) -> list[tuple[Split, int]]:
    """How many of the free ones go to test and to validation."""
    everyone = len(given) + free
    least_test = 1 if everyone >= _FEWEST_FOR_TEST else 0
    test = max(least_test, round(TENTH * everyone), given.count(Split.TEST))
    learning = everyone - test
    validation = max(1 if learning > 1 else 0, round(TENTH * learning))
    return [
        (Split.TEST, test - given.count(Split.TEST)),
        (Split.VALIDATION, max(0, validation - given.count(Split.VALIDATION))),
    ]
