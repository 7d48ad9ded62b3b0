"""How each line of an invoice came about, in sentences; every amount is one that an invoice or the catalog states."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from valueverse.dates import utc_text
from valueverse.invoicing.rendering.display_names import DisplayNames
from valueverse.invoicing.rendering.line_texts import LineTexts
from valueverse.invoicing.rendering.locale_formats import LocaleFormats
from valueverse.invoicing.rendering.presentation import basis_text, total_rows
from valueverse.invoicing.rendering.price_sentences import PriceSentences
from valueverse.money import plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from valueverse.catalog import ChargePricing, Plan

_MEASURED = {
    "count": "the number of {events}",
    "sum": "the sum of {value!r} of {events}",
    "min": "the lowest {value!r} of {events}",
    "max": "the highest {value!r} of {events}",
    "avg": "the average {value!r} of {events}",
    "latest": "the latest {value!r} of {events}",
    "unique_count": "the distinct {value!r} of {events}",
    "weighted_sum": "{value!r} of {events}, weighted by the time for which it held",
}
_COMMITMENT = "commitment"


@dataclass(frozen=True)
class OtherLine:
    """A line of another invoice that belongs to a line.

    Attributes:
        invoice: its number; None: a draft.
        status: of that invoice.
        issued_on: of that invoice.
        amount: major units.
    """

    invoice: str | None
    status: str
    issued_on: date
    amount: str


@dataclass(frozen=True)
class LineFacts:
    """What the document does not say of a line.

    Attributes:
        plan: what it was billed on, overrides applied; None: on none.
        late_events: of its events, how many were received after the period closed.
        before: what threshold invoices of the period billed of it.
        corrections: what later invoices changed of it.
        corrected: the line of an earlier invoice that this one corrects.
    """

    plan: Plan | None = None
    late_events: int = 0
    before: Sequence[OtherLine] = ()
    corrections: Sequence[OtherLine] = ()
    corrected: OtherLine | None = None


@dataclass(frozen=True)
class ExplainedLine:
    """A line in sentences: ``sentences``, then its tiers (text and amount), then ``result``."""

    title: str
    amount: str
    sentences: list[str]
    tiers: list[tuple[str, str]] = field(default_factory=list)
    result: list[str] = field(default_factory=list)


class ExplainedInvoice:
    """An invoice and its lines in English sentences."""

    def __init__(self, document: Mapping[str, Any], catalog: Mapping[str, Any] | None, zones: Sequence[str]) -> None:
        """``catalog``: the document of the one that it was billed by, for names; ``zones``: as of ``LocaleFormats``."""
        self._document = document
        self._rounding = document["basis"].get("rounding") or {}
        self._formats = LocaleFormats("en", document["currency"], zones)
        self._names = DisplayNames(catalog, "en")
        self._texts = LineTexts(self._formats, self._names)
        self._prices = PriceSentences(self._formats)

    def heading(self) -> str:
        """Which invoice it is, what it comes to, for whom and when."""
        one = self._document
        total, days = self.money(one["total"]), self.days(one["period"])
        return f"{one['number'] or 'draft'}: {total} for {one['customer']}, {days}, {one['status']}"

    def basis(self) -> str:
        """What was known when it was made, and how it was rounded."""
        return basis_text(self._document, self._formats, lambda known: utc_text(datetime.fromisoformat(known)))

    def totals(self) -> list[tuple[str, str]]:
        """Label and amount from the subtotal over discounts, taxes and credits to what is due."""
        currency = self._document["currency"]
        rows = total_rows(self._document, self._formats, self._names)
        return [(label.removesuffix(f" {currency}"), f"{amount} {currency}") for label, amount, _ in rows]

    def line(self, line: Mapping[str, Any], facts: LineFacts) -> ExplainedLine:
        """The sentences of one of its lines."""
        shown = self._texts.shown(line)
        ways = {"usage": self._usage, "fee": self._fee, "minimum": self._minimum, "adjustment": self._adjustment}
        sentences = ways.get(line["kind"], self._other)(line, facts)
        tiers = [(text, f"{amount} {self._formats.currency}") for text, amount in shown["tiers"]]
        return ExplainedLine(self.name(line), self.money(line["amount"]), sentences, tiers, self._result(line, facts))

    def name(self, line: Mapping[str, Any]) -> str:
        """What one of its lines is called, as in its PDF and XML."""
        return self._texts.name(line)

    def money(self, amount: str) -> str:
        """A shown amount with its currency."""
        return f"{self._formats.amount(amount)} {self._formats.currency}"

    def days(self, period: Mapping[str, Any]) -> str:
        """The first and the last day of a period."""
        first, last = self._formats.first_and_last_day(period)
        return f"{first}" if first == last else f"{first} to {last}"

    def _usage(self, line: Mapping[str, Any], facts: LineFacts) -> list[str]:
        charge = _part(facts.plan.charges, line["key"]) if facts.plan else None
        found = [self._measured(line)]
        if facts.late_events:
            late = "All" if facts.late_events == line["event_count"] else f"{facts.late_events:,}"
            found.append(f"{late} of them arrived after the period had closed, in time to count.")
        if charge is None:
            return found
        if charge.when:
            only = " and ".join(f"{name} {value}" for name, value in charge.when.items())
            found.append(f"It takes events with {only}.")
        found += [text for text in (self._prices.conversion(charge), self._included(line, charge, facts)) if text]
        price = self._prices.price(charge.price, line["dimensions"])
        return [*found, f"Price of plan {facts.plan.key if facts.plan else ''}: {price}."]

    def _measured(self, line: Mapping[str, Any]) -> str:
        count, days = line["event_count"] or 0, self.days(line["service_period"])
        meter = self._names.meter(line["meter"])
        if meter is None:
            return f"From {_counted(count, 'event')} of several meters, {days}."
        how = _MEASURED[meter["aggregation"]].format(
            value=meter.get("value"), events=_counted(count, f"{meter['event_type']} event")
        )
        if line["quantity"] is None:
            return f"{how[0].upper()}{how[1:]}, {days}."
        unit = self._names.unit(line)
        quantity = self._formats.quantity(line["quantity"])
        if unit is not None:
            quantity += f" {unit.unit}" if unit.count is None else f" times {unit.count} {unit.unit}"
        return f"{quantity}: {how}, {days}."

    def _included(self, line: Mapping[str, Any], charge: ChargePricing, facts: LineFacts) -> str | None:
        shared = bool(facts.before) or getattr(charge, "across_segments", False) or bool(line["dimensions"])
        return self._prices.included(charge, None if shared else line["quantity"])

    def _fee(self, line: Mapping[str, Any], facts: LineFacts) -> list[str]:
        fee = _part(facts.plan.fees, line["key"]) if facts.plan else None
        days = self.days(line["service_period"])
        if fee is None or facts.plan is None:
            return [f"For {days}."]
        period = facts.plan.period
        each = f"a {period.unit}" if period.every == 1 else f"every {period.every} {period.unit}s"
        if fee.unit_amount is None:
            whole = fee.amount or Decimal(0)
            price = f"{self._prices.money(whole)} {each}"
        else:
            whole = fee.unit_amount * Decimal(line["quantity"] or 0)
            price = f"{self._formats.quantity(line['quantity'] or '0')} at {self._prices.money(fee.unit_amount)} {each}"
        when = "at the start of the period" if fee.timing == "in_advance" else "at the end of the period"
        found = [f"Fee of plan {facts.plan.key}: {price}, billed {when}, for {days}."]
        if Decimal(line["amount_precise"]) < 0:
            found.append("Billed before for days that the subscription did not use: given back.")
        elif Decimal(line["amount_precise"]) != whole:
            part, full = self.money(line["amount"]), self._prices.money(whole)
            found.append(f"The period is not whole: {part} of {full}, by the {fee.prorate}.")
        return found

    def _minimum(self, line: Mapping[str, Any], facts: LineFacts) -> list[str]:
        plan, days = facts.plan, self.days(line["service_period"])
        if line["key"] == _COMMITMENT and plan is not None and plan.commitment is not None:
            least = self._prices.money(plan.commitment.minimum)
            return [f"Plan {plan.key} commits to at least {least} a period: what fees and charges lack of it, {days}."]
        charge = _part(plan.charges, line["key"]) if plan else None
        if charge is not None and charge.minimum is not None:
            least = self._prices.money(charge.minimum)
            name = self._names.label(line["key"], charge.name or line["key"])
            return [f"All lines of {name} come to at least {least} a period: what they lack of it, {days}."]
        return [f"For {days}."]

    def _adjustment(self, line: Mapping[str, Any], facts: LineFacts) -> list[str]:
        days = self.days(line["service_period"])
        found = [f"Changes what was billed for {days}."]
        if facts.corrected is not None:
            found = [f"Changes invoice {facts.corrected.invoice}, issued {facts.corrected.issued_on}, for {days}."]
        return [*found, f"{line['explains'][0].upper()}{line['explains'][1:]}."] if line["explains"] else found

    def _other(self, line: Mapping[str, Any], facts: LineFacts) -> list[str]:
        found = [f"For {self.days(line['service_period'])}."]
        charge = _part(facts.plan.charges, line["key"]) if facts.plan and line["kind"] == "outcome" else None
        if charge is not None:
            found.append(
                f"Price of plan {facts.plan.key if facts.plan else ''}: {self._prices.price(charge.price, {})}."
            )
        return [*found, f"{line['explains'][0].upper()}{line['explains'][1:]}."] if line["explains"] else found

    def _result(self, line: Mapping[str, Any], facts: LineFacts) -> list[str]:
        charge = _part(facts.plan.charges, line["key"]) if facts.plan and line["kind"] == "usage" else None
        after = self._prices.after_price(charge) if charge is not None else []
        found = [f"After the price, in this order: {'; '.join(after)}."] if after else []
        found += [
            f"Less {self.money(one.amount)} that {_name(one)} billed before at a threshold." for one in facts.before
        ]
        precise = Decimal(line["amount_precise"])
        if precise != Decimal(line["amount"]):
            exact = f"{self._formats.precise(plain(precise))} {self._formats.currency}"
            how = self._formats.text(f"rounding_{self._rounding['mode']}") if self._rounding else "-"
            found.append(f"{exact} before rounding: {how}, per {self._rounding.get('level', 'line')}.")
        return found + [
            f"Changed since, by {self.money(one.amount)}: on {_name(one)} ({one.status}, issued {one.issued_on})."
            for one in facts.corrections
        ]


def _part(parts: Sequence[Any], key: str) -> Any:
    return next((part for part in parts if part.key == key), None)


def _name(other: OtherLine) -> str:
    return other.invoice or "a draft"


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"
