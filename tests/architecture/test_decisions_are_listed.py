"""The list of decisions holds each of them, and each says which number it has."""

from __future__ import annotations

import re

from tests import decision_index


def test_the_list_of_decisions_is_as_the_decisions_are() -> None:
    assert decision_index.PATH.read_text(encoding="utf-8") == decision_index.rendered(), "make decisions"


def test_every_decision_has_a_number_of_its_own_and_a_title() -> None:
    paths = sorted(decision_index.FOLDER.glob("[0-9]*.md"))
    numbers = [path.name[:4] for path in paths]
    assert len(set(numbers)) == len(numbers) > 80
    for path in paths:
        text = path.read_text(encoding="utf-8")
        assert re.match(rf"# {path.name[:4]} \S", text), path.name
