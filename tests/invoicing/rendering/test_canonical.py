"""The canonical form of documents: byte for byte that of RFC 8785."""

from __future__ import annotations

from typing import Any

import pytest
import rfc8785
from hypothesis import example, given
from hypothesis import strategies as st

from valueverse.invoicing.rendering.document_hash import canonical

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
NUMBERS = st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False)
DOCUMENTS = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=5),
    max_leaves=12,
)


@given(DOCUMENTS)
@example({"\ufb01": 1, "\U0001f600": 2})
@example({"a": 1e21, "b": [0.1, -0.0, 5e-324]})
@example(1.0)
@example(["\u2028", "\x00\x1f\x7f", '"\\/'])
def test_documents_are_written_as_rfc_8785_writes_them(document: Any) -> None:
    assert canonical(document) == rfc8785.dumps(document)


@pytest.mark.parametrize("document", [2**53, {"a": "\ud800"}])
def test_what_has_no_canonical_form_is_refused(document: Any) -> None:
    with pytest.raises(Exception) as expected:  # noqa: PT011 - whatever the reference raises
        rfc8785.dumps(document)
    with pytest.raises(type(expected.value)):
        canonical(document)
