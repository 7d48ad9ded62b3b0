"""``valueverse finance``: present values, rates of return and annuities, conventions stated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from valueverse.errors import RefusalError

if TYPE_CHECKING:
    from collections.abc import Iterable

Document = dict[str, Any]


def answer(documents: list[Document]) -> Iterable[Document | RefusalError]:
    """One answer or refusal per document, in order."""
    from valueverse.services.calculators.finance_input import evaluate

    answers: list[Document | RefusalError] = []
    for document in documents:
        try:
            answers.append(evaluate(document))
        except RefusalError as refusal:
            answers.append(refusal)
        except ArithmeticError:
            answers.append(RefusalError("out_of_range", "the numbers are too large or too small to work with", "fn"))
    return answers
