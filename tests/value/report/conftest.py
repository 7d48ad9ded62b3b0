"""Pages without their drawings."""

from __future__ import annotations

from html import escape

import pytest

from valueverse.value.report import charts
from valueverse.value.report.charts import Chart


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Charts in words instead of drawings, which take most of a page's time."""

    def in_words(key: str, title: str, text: str, _draw: object, _rows: int = 0) -> Chart:
        return Chart(key, title, text, (f"<p>{escape(text)}</p>",))

    monkeypatch.setattr(charts, "_chart", in_words)
