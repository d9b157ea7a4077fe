"""Letters in the pixels of a picture: the font, its size, and the glyphs that it has."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import cast

from PIL import ImageFont, features


@lru_cache(maxsize=256)
def font_for(text: str, largest: int, room: float) -> ImageFont.FreeTypeFont:
    """The font in the largest size, at most `largest`, in which the text has room (pixels)."""
    for size in range(largest, 8, -1):
        font = font_of(size)
        if font.getlength(text) <= room:
            return font
    return font_of(8)


@cache
def font_of(size: int) -> ImageFont.FreeTypeFont:
    """The font that Pillow brings along: the same pixels on every machine.

    Raises:
        ImportError: this Pillow was built without FreeType.
    """
    if not features.check("freetype2"):
        raise ImportError("Pillow was built without FreeType: no text can be drawn")
    return cast(ImageFont.FreeTypeFont, ImageFont.load_default(size))


_PLAIN = str.maketrans({"–": "-", "−": "-", "—": "-", "“": '"', "”": '"', "…": "...", "×": "x"})


def pixel_text(text: str) -> str:
    """Text in the glyphs that the font has: dashes become hyphens, other strangers “?”."""
    return text.translate(_PLAIN).encode("ascii", "replace").decode("ascii")
