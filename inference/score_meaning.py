"""What the numbers of an answer mean: by itself, as whoever only prints them needs no arrays."""

from enum import StrEnum


class ScoreMeaning(StrEnum):
    """PROBABILITY: of classes that exclude each other, so that they sum to 1. NOISY_OR: P of Xu et
    al. 2020, equation 1, which joins the confidences of regions as if these were independent."""

    PROBABILITY = "probability"
    NOISY_OR = "noisy-or"
