"""How much of what was used: bars of the largest usage lines, and how far allowances and commitment were used."""

from __future__ import annotations

from decimal import Decimal, localcontext
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from valueverse.invoicing.rendering.display_names import DisplayNames
    from valueverse.invoicing.rendering.history import InvoiceHistory
    from valueverse.invoicing.rendering.line_texts import LineTexts
    from valueverse.invoicing.rendering.locale_formats import LocaleFormats

_MOST_BARS = 8
_WHOLE = 1_000
_COMMITTED = frozenset(["fee", "usage", "minimum"])


def usage_summary(
    document: Mapping[str, Any],
    texts: LineTexts,
    formats: LocaleFormats,
    names: DisplayNames,
    history: InvoiceHistory,
) -> dict[str, Any] | None:
    """heading, bars [[label, amount, thousandths]] and progress [[label, text, thousandths]]; None: nothing to show.

    Args:
        document: the invoice.
        texts: of its lines.
        formats: of its texts and numbers.
        names: of its catalog, which say what is included.
        history: says whether the terms of the catalog are those that were agreed.
    """
    bars = _bars(document, texts, formats)
    progress = [
        *_allowances(document, texts, formats, names, history),
        *_commitment(document, formats, names, history),
    ]
    if len(bars) < 2 and not progress:
        return None
    return {"heading": formats.text("usage_summary"), "bars": bars if len(bars) > 1 else [], "progress": progress}


def _bars(document: Mapping[str, Any], texts: LineTexts, formats: LocaleFormats) -> list[list[Any]]:
    """Amounts of usage by name, the largest first; what is not among the largest is one bar."""
    amounts: dict[str, Decimal] = {}
    for line in document["lines"]:
        if line["kind"] == "usage" and Decimal(line["amount"]) > 0:
            label = texts.name(line)
            amounts[label] = amounts.get(label, Decimal(0)) + Decimal(line["amount"])
    ranked = sorted(amounts.items(), key=lambda one: -one[1])
    shown = ranked if len(ranked) <= _MOST_BARS else ranked[: _MOST_BARS - 1]
    rest = sum((amount for _, amount in ranked[len(shown) :]), Decimal(0))
    rows = [*shown, (formats.text("others"), rest)] if rest else shown
    largest = max((amount for _, amount in rows), default=Decimal(1))
    return [[label, formats.amount(str(amount)), _thousandths(amount, largest)] for label, amount in rows]


def _allowances(
    document: Mapping[str, Any],
    texts: LineTexts,
    formats: LocaleFormats,
    names: DisplayNames,
    history: InvoiceHistory,
) -> list[list[Any]]:
    """Of each charge with included units, which has one line: all of them where its tiers show that they were used up,
    what was used of them where nothing was billed and the catalog's terms were agreed without overrides."""
    usage = [line for line in document["lines"] if line["kind"] == "usage"]
    keys = [line["key"] for line in usage]
    found = []
    for line in usage:
        if keys.count(line["key"]) > 1:
            continue
        proven = names.included(line)
        included = proven or (names.included_at_most(line) if history.has_overrides is False else None)
        if included is None:
            continue
        used = proven or str(line["quantity"])
        unit = names.unit(line)
        count = "" if unit is None or unit.count is None else f" \N{MULTIPLICATION SIGN} {formats.quantity(unit.count)}"
        numbers = {name: formats.quantity(one) + count for name, one in (("used", used), ("included", included))}
        text = formats.text("allowance", unit=unit.unit if unit else "", **numbers)
        share = _thousandths(Decimal(used), Decimal(included))
        found.append([formats.text("allowance_title", what=texts.title(line)), text.strip(), share])
    return found


def _commitment(
    document: Mapping[str, Any], formats: LocaleFormats, names: DisplayNames, history: InvoiceHistory
) -> list[list[Any]]:
    """What the period's fees and charges came to, of the commitment.

    Fees in advance were billed by the invoice before: an invoice with a true-up shows it only where it has all that
    counts, which is where it adds up to a commitment of the catalog. One without shows it where a whole period's fee
    says that the commitment is whole, and its own lines reach that of the subscription's plan.
    """
    trued_up = [line for line in document["lines"] if line["kind"] == "minimum" and line["key"] == "commitment"]
    if len(trued_up) > 1:
        return []
    period = trued_up[0]["service_period"] if trued_up else document["period"]
    counted = [
        line
        for line in document["lines"]
        if line["kind"] in _COMMITTED and line not in trued_up and line["service_period"] == period
    ]
    used = sum((Decimal(line["amount"]) for line in counted), Decimal(0))
    if trued_up:
        minimum = used + Decimal(trued_up[0]["amount"])
        agreed = minimum in names.commitments()
    else:
        whole = any(line["kind"] == "fee" and not names.is_part(line) for line in counted)
        minimum = names.commitment_of(history.plan, history.plan_version) or Decimal(0)
        agreed = history.has_overrides is False and whole and 0 < minimum <= used
    if not agreed:
        return []
    text = formats.text("commitment_progress", used=formats.money(str(used)), minimum=formats.money(str(minimum)))
    return [[formats.text("commitment_title"), text, _thousandths(used, minimum)]]


def _thousandths(part: Decimal, whole: Decimal) -> int:
    """The length of a bar: a share from 0 to 1,000."""
    with localcontext() as context:
        context.prec = 80
        return max(0, min(_WHOLE, int(part * _WHOLE / whole))) if whole > 0 else 0
