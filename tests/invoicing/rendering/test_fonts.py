"""Names in every script, and words longer than a column."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import pypdfium2
import pytest
from fontTools.ttLib import TTFont

from tests.invoicing.rendering.test_presentation import CATALOG, document, line, parties
from tests.invoicing.rendering.test_swiss_qr_bill import SWISS, UNTAXED
from valueverse.errors import RefusalError
from valueverse.invoicing.rendering.fonts import fallbacks, fonts_of
from valueverse.invoicing.rendering.pdf import invoice_pdf

NAMES = {
    "Chinese": "\u4e2d\u6587\u6d4b\u8bd5\u6709\u9650\u516c\u53f8",
    "Japanese": "\u682a\u5f0f\u4f1a\u793e\u30b5\u30f3\u30d7\u30eb",
    "Korean": "\uc8fc\uc2dd\ud68c\uc0ac",
    "Thai": "\u0e44\u0e17\u0e22",
    "Arabic": "\u0627\u0644\u0639\u0631\u0628\u064a\u0629",
    "Devanagari": "\u0939\u093f\u0928\u094d\u0926\u0940",
    "emoji": "\U0001f600\U0001f680",
}


def test_names_in_any_script_are_drawn_in_an_archivable_pdf() -> None:
    lines = [line(kind="one_off", key="x", description=name) for name in NAMES.values()]
    pdf = invoice_pdf(document(lines=lines), parties(buyer=NAMES["Japanese"], seller=NAMES["Chinese"]), CATALOG)
    assert b"<pdfaid:part>3</pdfaid:part>" in pdf
    text = pypdfium2.PdfDocument(pdf)[0].get_textpage().get_text_bounded()
    for script in ("Chinese", "Japanese", "Korean"):
        assert NAMES[script] in text


def test_han_characters_have_the_shapes_of_the_buyer_s_country_else_of_the_seller_s() -> None:
    chosen = [
        fallbacks(*countries)[0].removeprefix("Noto Sans CJK ")
        for countries in (("CN", "JP"), ("DE", "TW"), ("KR", None), ("JP", "CN"), (None, "HK"), ("DE", None))
    ]
    assert chosen == ["SC", "TC", "KR", "JP", "HK", "JP"]
    families = set(fonts_of(None).families())
    assert {f"Noto Sans CJK {one}" for one in chosen} | {"Noto Emoji", "Noto Sans"} <= families
    assert "Last Resort High-Efficiency" not in families


def test_a_word_longer_than_a_column_stays_on_the_page_and_a_text_longer_than_a_page_goes_on() -> None:
    word = "W" * 900
    lines = [line(kind="one_off", key="x", description=text) for text in (word, "word " * 3000)]
    pdf = pypdfium2.PdfDocument(invoice_pdf(document(lines=lines, customer="c" * 120), parties(buyer=word), CATALOG))
    shown = 0
    for page in pdf:
        text = page.get_textpage()
        for place, character in enumerate(text.get_text_range()):
            left, bottom, right, _ = text.get_charbox(place)
            if character.isalpha():
                assert (left > 0, right < page.get_width(), bottom > 0) == (True, True, True)
                shown += character == "W"
    assert shown >= 2 * len(word)
    assert len(pdf) > 3


def test_a_hash_and_an_address_of_a_page_are_copied_as_they_are() -> None:
    page = pypdfium2.PdfDocument(invoice_pdf(document(content_hash="0a" * 32), parties(), CATALOG))[0]
    text = page.get_textpage().get_text_bounded()
    assert "0a" * 32 in text
    assert "https://pay.acme.example" in text


def test_slips_are_set_in_a_typeface_of_the_style_guide_where_a_folder_has_one(tmp_path: Path) -> None:
    found = TTFont(Path(mpl.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf")
    for record in found["name"].names:
        record.string = str(record).replace("DejaVu Sans", "Liberation Sans").replace("DejaVuSans", "LiberationSans")
    (tmp_path / "sans").mkdir()
    found.save(tmp_path / "sans" / "one.ttf")
    ours, theirs = (invoice_pdf(document(**UNTAXED), parties(**SWISS), fonts=folder) for folder in (None, tmp_path))
    assert [(b"NotoSans" in pdf, b"LiberationSans" in pdf) for pdf in (ours, theirs)] == [(True, False), (False, True)]
    with pytest.raises(RefusalError, match="is no folder: the setting fonts names one"):
        invoice_pdf(document(), parties(), fonts=tmp_path / "none")
