"""A module that is imported late is loaded by its first use, and is nobody else's meanwhile."""

from __future__ import annotations

import sys

import pytest

from quality.late_imports import imported_late


def test_a_module_is_loaded_when_it_is_used_and_not_when_it_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    with imported_late("colorsys"):
        import colorsys
    assert "colorsys" not in sys.modules
    assert colorsys.rgb_to_hsv(0, 0, 0) == (0, 0, 0)
    assert "colorsys" in sys.modules
    with pytest.raises(AttributeError, match="nothing_like_it"):
        _ = colorsys.nothing_like_it


def test_a_module_that_is_loaded_stays_and_one_used_meanwhile_is_the_real_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    with imported_late("json", "colorsys"):
        import colorsys
        import json

        assert 0.33 < colorsys.ONE_THIRD < 0.34
    assert sys.modules["json"] is json
    assert "colorsys" in sys.modules
