"""Dimensions have one text, whoever writes it."""

from __future__ import annotations

import json

import polars as pl
import rfc8785
from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.laws import law
from valueverse.invoicing.lines.usage.charge_assignment import projected
from valueverse.schemas.dimensions import dimensions_text, in_canonical_order

NAMES = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=4)
VALUES = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=6)
BEYOND = {"\U00010437": "astral", "\uff5e": "wide"}
"""By code points the second comes first, by UTF-16 code units the other."""


@given(st.dictionaries(NAMES, VALUES, min_size=1, max_size=4))
@example(BEYOND)
@law(100)
def test_the_text_is_that_of_rfc_8785(values: dict[str, str]) -> None:
    assert dimensions_text(values).encode() == rfc8785.dumps(values)


def test_the_text_of_a_line_s_own_dimensions_has_the_order_of_the_usage_it_is_taken_from() -> None:
    row = pl.DataFrame({"dimensions": [dimensions_text(BEYOND)]})
    assert row.select(projected(list(reversed(BEYOND)))).item() == dimensions_text(BEYOND)
    assert list(json.loads(dimensions_text(BEYOND))) == in_canonical_order(BEYOND) == list(BEYOND)
