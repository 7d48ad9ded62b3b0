"""How much of what was used: bars of the largest usage lines, and how far allowances and commitment were used."""

from __future__ import annotations

from decimal import Decimal, localcontext
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from valueverse.invoicing.rendering.display_names import DisplayNames
    from valueverse.invoicing.rendering.locale_formats import LocaleFormats

_MOST_BARS = 8
_WHOLE = 1_000
_COMMITTED = frozenset(["fee", "usage", "minimum"])


def usage_summary(
    document: Mapping[str, Any], titles: Sequence[str], formats: LocaleFormats, names: DisplayNames
) -> dict[str, Any] | None:
    """heading, bars [[label, amount, thousandths]] and progress [[label, text, thousandths]]; None: nothing to show.

    Args:
        document: the invoice.
        titles: of its lines, as they are shown.
        formats: of its texts and numbers.
        names: of its catalog, which say what is included.
    """
    bars = _bars(document, titles, formats)
    progress = [*_allowances(document, titles, formats, names), *_commitment(document, formats, names)]
    if len(bars) < 2 and not progress:
        return None
    return {"heading": formats.text("usage_summary"), "bars": bars if len(bars) > 1 else [], "progress": progress}


def _bars(document: Mapping[str, Any], titles: Sequence[str], formats: LocaleFormats) -> list[list[Any]]:
    """Amounts of usage by title, the largest first; what is not among the largest is one bar."""
    amounts: dict[str, Decimal] = {}
    for line, title in zip(document["lines"], titles, strict=True):
        if line["kind"] == "usage" and Decimal(line["amount"]) > 0:
            label = ", ".join([title, *map(str, (line["dimensions"] or {}).values())])
            amounts[label] = amounts.get(label, Decimal(0)) + Decimal(line["amount"])
    ranked = sorted(amounts.items(), key=lambda one: -one[1])
    shown = ranked if len(ranked) <= _MOST_BARS else ranked[: _MOST_BARS - 1]
    rest = sum((amount for _, amount in ranked[len(shown) :]), Decimal(0))
    rows = [*shown, (formats.text("others"), rest)] if rest else shown
    largest = max((amount for _, amount in rows), default=Decimal(1))
    return [[label, formats.amount(str(amount)), _thousandths(amount, largest)] for label, amount in rows]


def _allowances(
    document: Mapping[str, Any], titles: Sequence[str], formats: LocaleFormats, names: DisplayNames
) -> list[list[Any]]:
    """Of each charge whose included units were used up, and which has one line."""
    usage = [(line, title) for line, title in zip(document["lines"], titles, strict=True) if line["kind"] == "usage"]
    keys = [line["key"] for line, _ in usage]
    found = []
    for line, title in usage:
        included = names.included(line) if keys.count(line["key"]) == 1 else None
        if included is None:
            continue
        unit = names.unit(line)
        count = "" if unit is None or unit.count is None else f" \N{MULTIPLICATION SIGN} {formats.quantity(unit.count)}"
        number = formats.quantity(included) + count
        text = formats.text("allowance", used=number, included=number, unit=unit.unit if unit else "")
        found.append([formats.text("allowance_title", what=title), text.strip(), _WHOLE])
    return found


def _commitment(document: Mapping[str, Any], formats: LocaleFormats, names: DisplayNames) -> list[list[Any]]:
    """Of an invoice with a true-up: what the period's fees and charges came to, of the commitment.

    Fees in advance were billed by the invoice before: it is shown only where this one has all that counts, which is
    where it adds up to a commitment of the catalog.
    """
    trued_up = [line for line in document["lines"] if line["kind"] == "minimum" and line["key"] == "commitment"]
    if len(trued_up) != 1:
        return []
    others = [
        Decimal(line["amount"])
        for line in document["lines"]
        if line["kind"] in _COMMITTED
        and line is not trued_up[0]
        and line["service_period"] == trued_up[0]["service_period"]
    ]
    used = sum(others, Decimal(0))
    minimum = used + Decimal(trued_up[0]["amount"])
    if minimum not in names.commitments():
        return []
    text = formats.text("commitment_progress", used=formats.money(str(used)), minimum=formats.money(str(minimum)))
    return [[formats.text("commitment_title"), text, _thousandths(used, minimum)]]


def _thousandths(part: Decimal, whole: Decimal) -> int:
    """The length of a bar: a share from 0 to 1,000."""
    with localcontext() as context:
        context.prec = 80
        return max(0, min(_WHOLE, int(part * _WHOLE / whole))) if whole > 0 else 0
