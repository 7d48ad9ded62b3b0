"""An invoice and its lines in sentences; every amount is one that an invoice or the catalog states."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from valueverse.catalog import Matrix
from valueverse.dates import utc_text
from valueverse.invoicing.rendering.display_names import DisplayNames
from valueverse.invoicing.rendering.explanation.amount_rows import AmountRows
from valueverse.invoicing.rendering.explanation.charge_terms import ChargeLines, ChargeTerms
from valueverse.invoicing.rendering.explanation.correction_sentences import CorrectionSentences
from valueverse.invoicing.rendering.explanation.line_facts import ExplainedLine
from valueverse.invoicing.rendering.explanation.measured import MeasuredQuantity, agreeing, counted
from valueverse.invoicing.rendering.explanation.price_sentences import PriceSentences
from valueverse.invoicing.rendering.line_texts import LineTexts
from valueverse.invoicing.rendering.locale_formats import LocaleFormats
from valueverse.invoicing.rendering.payment import since_issued
from valueverse.invoicing.rendering.presentation import basis_text, total_rows
from valueverse.money import minor_text, plain, round_decimal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from valueverse.catalog import Plan
    from valueverse.invoicing.rendering.credit_notes.credit_note_document import BookedCreditNote
    from valueverse.invoicing.rendering.explanation.line_facts import LineFacts, OtherLine
    from valueverse.invoicing.rendering.history import InvoiceHistory

_COMMITMENT = "commitment"


class ExplainedInvoice:
    """An invoice and its lines in English sentences."""

    def __init__(self, document: Mapping[str, Any], catalog: Mapping[str, Any] | None, zones: Sequence[str]) -> None:
        """``catalog``: the document of the one that it was billed by, for names; ``zones``: as of ``LocaleFormats``."""
        self._document = document
        self._rounding = document["basis"].get("rounding") or {}
        self._formats = LocaleFormats("en", document["currency"], zones)
        self._minor = Decimal(1).scaleb(-self._formats.places)
        self._names = DisplayNames(catalog, "en")
        self._texts = LineTexts(self._formats, self._names)
        self._prices = PriceSentences(self._formats, self._names.meter_name)
        self._terms = ChargeTerms(self._prices)
        self._rows = AmountRows(self._formats, self._prices)
        self._corrections = CorrectionSentences(self._formats)
        self._quantities = MeasuredQuantity(self._formats, self._names)

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

    def since_issued(self, history: InvoiceHistory, notes: Sequence[BookedCreditNote]) -> list[tuple[str, str]]:
        """Label and amount of what was paid since, of what remains due, and of its credit notes."""
        currency = self._document["currency"]
        found = since_issued(self._document, self._formats, history, str)
        rows = found["rows"] if found else []
        return [(label.removesuffix(f" {currency}"), f"{amount} {currency}") for label, amount, _ in rows] + [
            (
                f"Credit note {one.key}, issued {one.issued_on}: {one.reason}",
                self.money(minor_text(one.amount_minor, self._formats.places)),
            )
            for one in notes
        ]

    def line(self, line: Mapping[str, Any], facts: LineFacts) -> ExplainedLine:
        """The sentences of one of its lines."""
        ways = {"usage": self._usage, "fee": self._fee, "minimum": self._minimum, "adjustment": self._adjustment}
        sentences = ways.get(line["kind"], self._other)(line, facts)
        amount, result = self.money(line["amount"]), self._result(line, facts)
        return ExplainedLine(self.name(line), amount, sentences, self._amount_rows(line, facts), result)

    def _amount_rows(self, line: Mapping[str, Any], facts: LineFacts) -> list[tuple[str, str]]:
        unit = self._names.unit(line)
        charge = _charge(line, facts)
        if line["kind"] == "usage" and charge is not None:
            return self._rows.of(line, charge, unit, facts)
        if line["kind"] == "usage":
            return self._rows.column(self._rows.tiers(line["tiers"], None, unit))
        one = facts.correction
        if one is None:
            return []
        if charge is not None and isinstance(charge.price, Matrix) and one.parts is not None:
            sides = [self._rows.cells(charge, parts, unit) for parts in one.parts]
            sums = [sum((amount for _, amount in rows), Decimal(0)) for rows in sides]
            # The terms of then may have been others: rows that do not come to what was billed are not its.
            if any(abs(a - Decimal(b)) >= self._minor for a, b in zip(sums, (one.billed, one.due), strict=True)):
                return []
        elif one.tiers and line["tiers"]:
            price = None if charge is None else charge.price
            sides = [self._rows.tiers(tiers, price, unit) for tiers in (one.tiers, line["tiers"])]
        else:
            return []
        named = zip(("before", "now"), sides, strict=True)
        return self._rows.column([(f"{side}: {text}", amount) for side, rows in named for text, amount in rows])

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

    def _named(self, part: Any) -> str:
        """What a fee or charge is called."""
        return self._names.label(part.key, part.name or part.key)

    def _usage(self, line: Mapping[str, Any], facts: LineFacts) -> list[str]:
        charge = _charge(line, facts)
        line = _with_billed_before(line, facts)
        found = [f"{self._quantities.sentence(line, charge, facts.parts)}, {self.days(line['service_period'])}."]
        if facts.late_events:
            late = f"{facts.late_events:,} of them"
            if facts.late_events == line["event_count"]:
                late = agreeing(facts.late_events, "It", "All of them")
            found.append(f"{late} arrived after the period had closed, in time to count.")
        if charge is None or facts.plan is None:
            return found
        found += self._quantities.terms(charge)
        unit = self._names.unit(line)
        included = self._included(line, charge, facts)
        found += [text for text in (self._terms.conversion(charge, unit.unit if unit else None), included) if text]
        if charge.across_segments:
            found.append("Tiers and included units run on over a change of plan within the period.")
        return [*found, f"Price of plan {_plan(facts.plan)}: {self._prices.price(charge.price, line['dimensions'])}."]

    def _included(self, line: Mapping[str, Any], charge: Any, facts: LineFacts) -> str | None:
        if charge.across_segments or (facts.in_parts and charge.split_by):
            return self._terms.included(charge, None, None)
        taken = self._lines_of(line, charge, facts).taken_before(line) if charge.split_by else None
        return self._terms.included(charge, line["quantity"], taken)

    def _lines_of(self, line: Mapping[str, Any], charge: Any, facts: LineFacts) -> ChargeLines:
        return ChargeLines.of(self._document, line, self._named(charge), complete=not facts.in_parts)

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
        found = [f"Fee of plan {_plan(facts.plan)}: {price}, billed {when}, for {days}."]
        if Decimal(line["amount_precise"]) < 0:
            found.append("It was billed before; the days on which the plan did not hold are given back.")
        elif Decimal(line["amount_precise"]) != whole:
            part, full = self.money(line["amount"]), self._prices.money(whole)
            found.append(f"The period is not whole: {part} of {full}, by the {fee.prorate}.")
        return found

    def _minimum(self, line: Mapping[str, Any], facts: LineFacts) -> list[str]:
        plan, days = facts.plan, self.days(line["service_period"])
        if line["key"] == _COMMITMENT and plan is not None and plan.commitment is not None:
            return [self._committed(line, plan, facts.days), f"For {days}."]
        if line["key"] == _COMMITMENT:
            return [
                "What fees and charges lack of the commitments of this period's plans, each for its own days.",
                f"For {days}.",
            ]
        charge = _part(plan.charges, line["key"]) if plan else None
        if charge is not None and charge.minimum is not None:
            return [self._terms.minimum(charge, self._lines_of(line, charge, facts), facts.days), f"For {days}."]
        return [f"For {days}."]

    def _committed(self, line: Mapping[str, Any], plan: Plan, days: tuple[int, int] | None) -> str:
        least = plan.commitment.minimum if plan.commitment else Decimal(0)
        text = f"Plan {_plan(plan)} commits to at least {self._prices.money(least)} a period"
        if days is None:
            return f"{text}: this is what its fees and charges lack of it."
        due = least if days[0] == days[1] else least * days[0] / days[1]
        part = "" if days[0] == days[1] else f", {self._prices.precise(due)} for {days[0]} of {days[1]} days"
        rounded = round_decimal(due, self._formats.places, self._rounding.get("mode", "half_up"))
        total = self.money(plain(rounded - Decimal(line["amount"])))
        return f"{text}{part}. Its fees and charges come to {total}: this is what they lack of it."

    def _adjustment(self, line: Mapping[str, Any], facts: LineFacts) -> list[str]:
        days = self.days(line["service_period"])
        if facts.correction is None:
            return [f"Changes what was billed for {days}."]
        one, charge = facts.correction, _charge(line, facts)
        quantities = [
            self._quantities.shown(line, charge, Decimal(quantity), parts)
            for quantity, parts in zip(one.quantity or (), one.parts or (None, None), strict=False)
        ]
        return self._corrections.of(line, one, days, quantities or (None, None))

    def _other(self, line: Mapping[str, Any], facts: LineFacts) -> list[str]:
        found = [f"For {self.days(line['service_period'])}."]
        charge = _charge(line, facts) if line["kind"] == "outcome" else None
        if charge is not None and facts.plan is not None:
            found.append(f"Price of plan {_plan(facts.plan)}: {self._prices.price(charge.price, {})}.")
        return [*found, f"{line['explains'][0].upper()}{line['explains'][1:]}."] if line["explains"] else found

    def _result(self, line: Mapping[str, Any], facts: LineFacts) -> list[str]:
        found = self._limits(line, facts) if line["kind"] == "usage" else []
        found += [
            f"Less {self.money(one.amount)} that {_invoice(one)} billed before at a threshold, for "
            f"{self._counted(line, one, _charge(line, facts))}."
            for one in facts.before
            if one.events or Decimal(one.amount)
        ]
        precise = Decimal(line["amount_precise"])
        if precise != Decimal(line["amount"]):
            exact = f"{self._formats.precise(plain(precise))} {self._formats.currency}"
            how = self._formats.text(f"rounding_{self._rounding['mode']}") if self._rounding else "-"
            found.append(f"{exact} before rounding: {how}, per {self._rounding.get('level', 'line')}.")
        return found + [
            f"Changed since, by {self.money(one.amount)}: on {_invoice(one)} ({one.status}, issued {one.issued_on})."
            for one in facts.corrections
        ]

    def _counted(self, line: Mapping[str, Any], one: OtherLine, charge: Any) -> str:
        quantity, events = self._quantities.shown(line, charge, one.quantity, None), counted(one.events, "event")
        return events if quantity is None else f"{quantity} of {events}"

    def _limits(self, line: Mapping[str, Any], facts: LineFacts) -> list[str]:
        charge = _charge(line, facts)
        if charge is None:
            return []
        after = self._terms.after_price(charge, facts, shared=bool(charge.split_by))
        found = [f"After the price, in this order: {'; '.join(after)}."] if after else []
        held = sum((Decimal(tier["quantity"]) for tier in line["tiers"]), Decimal(0))
        if charge.across_segments and held > Decimal(line["quantity"] or 0):
            found.append("What the tiers hold of days before a change of plan is taken off.")
        shared = (
            self._terms.shared_limits(charge, self._lines_of(line, charge, facts), facts) if charge.split_by else None
        )
        return [*found, shared] if shared else found


def _with_billed_before(line: Mapping[str, Any], facts: LineFacts) -> Mapping[str, Any]:
    """A usage line with what threshold invoices billed of it: its tiers hold that too."""
    if not facts.before:
        return line
    count = (line["event_count"] or 0) + sum(one.events for one in facts.before)
    if line["quantity"] is None:
        return {**line, "event_count": count}
    quantity = sum((one.quantity for one in facts.before), Decimal(line["quantity"]))
    return {**line, "event_count": count, "quantity": plain(quantity)}


def _charge(line: Mapping[str, Any], facts: LineFacts) -> Any:
    return _part(facts.plan.charges, line["key"]) if facts.plan else None


def _part(parts: Sequence[Any], key: str) -> Any:
    return next((part for part in parts if part.key == key), None)


def _plan(plan: Plan) -> str:
    return plan.name or plan.key


def _invoice(other: OtherLine) -> str:
    return other.invoice or "a draft"
