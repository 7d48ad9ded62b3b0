"""``valueverse price``: what a price makes of a quantity. The engine is the one that bills."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from valueverse.errors import RefusalError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from decimal import Decimal

    from valueverse.rating import Rated
    from valueverse.services.calculators.price_input import Case

Document = dict[str, Any]


def _rate(cases: list[Case]) -> Rated:
    import polars as pl

    from valueverse.rating import ChargeBook, RatingDetail, rate
    from valueverse.schemas.rating import BUCKET_QUANTITIES, LINES_TO_RATE, METER_QUANTITIES, RATED_EVENTS

    book = ChargeBook.build([(case.pricing, case.mode, case.level) for case in cases])
    lines = [{"line": number, "charge": number, **case.row} for number, case in enumerate(cases)]

    def gathered(name: str, columns: pl.Schema) -> pl.DataFrame:
        rows = [{"line": number, **row} for number, case in enumerate(cases) for row in getattr(case, name)]
        return pl.DataFrame(rows, schema=columns)

    detail = RatingDetail(
        gathered("events", RATED_EVENTS),
        gathered("quantities", METER_QUANTITIES),
        gathered("buckets", BUCKET_QUANTITIES),
    )
    return rate(pl.DataFrame(lines, schema=LINES_TO_RATE), book, detail)


_PROBLEMS = {
    "out_of_range": ("a quantity or an amount leaves the exact range (quantities below 10^12, amounts below 10^19)"),
    "no_result": "the formula has no value here: it divides by 0, or its result is too large",
    "no_cell": "no cell of the matrix has these dimension values, and there is no default_unit",
}


def _answers_of(cases: list[Case]) -> list[Document | RefusalError]:
    """Rate a batch; should the engine give up on it, halve it until the line at fault stands alone."""
    import polars as pl

    if not cases:
        return []
    try:
        rated = _rate(cases)
    except pl.exceptions.PolarsError:
        if len(cases) == 1:
            return [RefusalError("out_of_range", _PROBLEMS["out_of_range"], "quantity")]
        half = len(cases) // 2
        return [*_answers_of(cases[:half]), *_answers_of(cases[half:])]
    return _shown(cases, rated)


def _shown(cases: list[Case], rated: Rated) -> list[Document | RefusalError]:
    from valueverse.money import plain

    tiers: dict[int, list[Document]] = {}
    for row in rated.tiers.iter_rows(named=True):
        shown = {
            name: None if row[name] is None else plain(row[name])
            for name in ("from", "to", "quantity", "unit", "flat", "amount")
        }
        tiers.setdefault(row["line"], []).append(shown)
    answers: list[Document | RefusalError] = []
    for case, line in zip(cases, rated.lines.iter_rows(named=True), strict=True):
        if line["problem"] is not None:
            answers.append(RefusalError(line["problem"], _PROBLEMS[line["problem"]], "quantity"))
            continue
        answers.append(
            {
                "quantity": plain(line["quantity"]),
                "amount": plain(line["amount"]),
                "amount_rounded": _with_decimals(line["amount_rounded"], case.decimals),
                "tiers": tiers.get(line["line"], []),
            }
        )
    return answers


def _with_decimals(rounded: Decimal, decimals: int) -> str:
    """At least the currency's decimals; more where the amount billed before has more, for it is taken off as it is."""
    from valueverse.money import plain, round_decimal

    shown = round_decimal(rounded, decimals)
    return format(shown, "f") if shown == rounded else plain(rounded)


def answer(documents: list[Document]) -> Iterable[Document | RefusalError]:
    """One answer or refusal per document, in order."""
    from valueverse.services.calculators.price_input import Case

    judged: list[Case | RefusalError] = []
    for document in documents:
        try:
            judged.append(Case(document))
        except RefusalError as refusal:
            judged.append(refusal)
    priced = iter(_answers_of([case for case in judged if isinstance(case, Case)]))
    return [case if isinstance(case, RefusalError) else next(priced) for case in judged]
