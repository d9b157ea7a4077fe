"""A score in text: never written as a certainty that it is not."""

from __future__ import annotations


def score_text(score: float) -> str:
    """Two decimals of a score from 0 to 1; "> 0.99" and "< 0.01" where these would say 1 or 0.

    Noisy-or of many regions comes so near to 1 that it rounds to it; 0 alone, no region, is 0.00.
    """
    shown = f"{score:.2f}"
    if shown == "1.00":
        return "> 0.99"
    if shown == "0.00" and score > 0:
        return "< 0.01"
    return shown
