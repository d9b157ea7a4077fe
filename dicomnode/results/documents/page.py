"""A page of text as a Secondary Capture: for the many viewers that show no report.

Not by highdicom, for the reasons that `capture` gives.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from pydicom.dataset import Dataset

from dicomnode.results.common.modules import Place, complete
from dicomnode.results.documents.text_document import TextOrigin
from dicomnode.results.pictures.capture import set_pixels
from dicomnode.results.pictures.lettering import font_of, pixel_text
from dicomnode.results.pictures.panel import draw_banner

PAGE_SIZE = 640  # pixels of the square: 1.2 MB, and letters are legible in a quarter of a screen
_BANNER, _MARGIN, _LETTERS, _LINE = 64, 16, 17, 23
_ROOM = (PAGE_SIZE - _BANNER - 2 * _MARGIN) // _LINE  # lines on a page
_WHITE = (255, 255, 255)
_MORE = "... and more: see the note's text in the report series."


def text_page(place: Place, origin: TextOrigin, headline: str, lines: Sequence[str]) -> Dataset:
    """One colour page, `headline` in the banner; what has no room is left to the report."""
    data_set = Dataset()
    data_set.ImageType = ["DERIVED", "SECONDARY", "OTHER"]
    data_set.ConversionType = "SYN"
    data_set.BurnedInAnnotation = "NO"  # no letter on it tells whose study it is
    data_set.RecognizableVisualFeatures = "NO"
    data_set.BodyPartExamined = "CHEST"
    data_set.PatientOrientation = None
    data_set.LossyImageCompression = "00"
    set_pixels(data_set, draw_page(headline, lines))
    return complete(data_set, place, origin)


def draw_page(headline: str, lines: Sequence[str]) -> NDArray[np.uint8]:
    """RGB (PAGE_SIZE, PAGE_SIZE, 3)."""
    canvas = Image.new("RGB", (PAGE_SIZE, PAGE_SIZE))
    draw_banner(canvas, _BANNER, headline)
    shown = [part for line in lines for part in _wrapped(pixel_text(line))]
    if len(shown) > _ROOM:
        shown = [*shown[: _ROOM - 1], _MORE]
    pen = ImageDraw.Draw(canvas)
    for number, line in enumerate(shown):
        place = (_MARGIN, _BANNER + _MARGIN + number * _LINE)
        pen.text(place, line, _WHITE, font_of(_LETTERS))
    return np.asarray(canvas)


def _wrapped(text: str) -> Iterator[str]:
    """The text in lines that have room, broken between words; one word that has none is cut."""
    line = ""
    for word in text.split(" "):
        longer = f"{line} {word}" if line else word
        if line and not _fits(longer):
            yield line
            longer = f"  {word}"
        while not _fits(longer):
            cut = next(n for n in range(len(longer) - 1, 0, -1) if _fits(longer[:n]))
            yield longer[:cut]
            longer = f"  {longer[cut:]}"
        line = longer
    yield line


def _fits(text: str) -> bool:
    return font_of(_LETTERS).getlength(text) <= PAGE_SIZE - 2 * _MARGIN
