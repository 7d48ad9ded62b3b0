"""Fonts that invoices are set in: those in the wheel of Typst, Noto for scripts that they lack, and a folder of one's
own. Fonts of the system are never used: the same document gives the same bytes everywhere."""

from __future__ import annotations

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import typst

from valueverse.errors import RefusalError

_PACKAGES = ("manimgx_fonts", "manimgx_fonts_cjk")
_HAN = {"CN": "SC", "SG": "SC", "TW": "TC", "HK": "HK", "MO": "HK", "KR": "KR"}
"""Country -> how Noto calls the shapes of Han characters there; those of Japan elsewhere."""


class MissingGlyphs(UserWarning):
    """No font has a character of an invoice: it is drawn as a box, and the PDF is no PDF/A."""


@lru_cache(maxsize=8)
def fonts_of(folder: Path | None) -> typst.Fonts:
    """The fonts that there are, ``folder`` and the folders in it included; they are looked for once per process.

    Raises:
        RefusalError: ``bad_setting``: it is no folder.
    """
    if folder is not None and not folder.is_dir():
        raise RefusalError("bad_setting", f"{folder} is no folder: the setting fonts names one with fonts", "fonts")
    found = [find_spec(package) for package in _PACKAGES]
    places = [Path(place) for one in found if one for place in one.submodule_search_locations or ()]
    return typst.Fonts(include_system_fonts=False, font_paths=[*places, folder] if folder else places)


def fallbacks(*countries: str | None) -> list[str]:
    """Families for what the font of an invoice lacks: Han characters as in the first of these countries (ISO 3166-1
    alpha-2) that writes them, and emoji in black."""
    shapes = next((_HAN.get(country, "JP") for country in countries if country in {*_HAN, "JP"}), "JP")
    return [f"Noto Sans CJK {shapes}", "Noto Emoji"]
