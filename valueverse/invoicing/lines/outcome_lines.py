"""Lines of charges on an outcome: one per approved proposal, on the subscription's next closing invoice.

What an outcome is worth is worked out and approved elsewhere (a value model's run, its dispute window); the engine
bills the amounts it is given and says on each line which commit and which run they come from. Without a proposal there
is no line. A billed line is never rewritten: what is known later comes as another proposal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from valueverse.invoicing.lines.usage.consumption import OUTCOME
from valueverse.schemas.events import REJECTED_EVENTS
from valueverse.schemas.invoicing import INVOICE, LINES, PRICED, SETTLED, SHOWN, SUBSCRIPTION, WORKING_LINES
from valueverse.schemas.settlement import APPROVED_PROPOSALS
from valueverse.schemas.types import EXACT, INSTANT

if TYPE_CHECKING:
    from datetime import datetime

    from valueverse.invoicing.lines.plan_terms import Terms
    from valueverse.invoicing.prior_state import IssuedInvoices


INVOICE_TYPE = "one_off"
"""An outcome that no closing invoice will bill is on an invoice of its own, as one-offs of its kind do."""
LARGEST = 10**12
_PROPOSAL = ["tenant", "proposal"]
_BILLED_BY = ("bearer", "terms", "billed_in", "over", "description", "position")
_ACCOUNT = [*SUBSCRIPTION, "currency"]
_UNSET = (
    "meter", "quantity", "event_count", "corrected_invoice_id", "is_difference", "booked_tax_percent",
    "booked_tax_key", "corrected_close", *PRICED, *SHOWN, *SETTLED,
)  # fmt: skip
_REASONS = {
    "bad_period": "the period ends before it begins",
    "out_of_range": "the amount is 10^12 or more",
    "unknown_subscription": "the subscription has no billable time before the period's end",
    "unknown_charge": "the subscription's plan has no charge on an outcome of this key",
    "wrong_currency": "the amount is not in the plan's currency",
}


@dataclass(frozen=True)
class Outcomes:
    """Proposals as lines without an invoice yet.

    Attributes:
        lines: the columns of LINES but for what identifies the invoice; terms, proposal, approved_at, invoice_id, over
            (the subscription's end, null: it runs on).
        refused: REJECTED_EVENTS: proposals that cannot be billed as they stand; they keep nothing else back.
    """

    lines: pl.DataFrame
    refused: pl.DataFrame

    @classmethod
    def read(cls, proposals: pl.DataFrame, segments: pl.DataFrame, terms: Terms) -> Outcomes:
        """Put each proposal on the terms that held last in its period.

        The subscription that it names is billed. Where that one cannot, a proposal being its commit's and so its
        customer's, another with the charge does: the one that started first of those that run when the period ends.

        Args:
            proposals: APPROVED_PROPOSALS.
            segments: billable segments with ``terms``.
            terms: theirs.
        """
        given = (
            proposals.select(APPROVED_PROPOSALS.names()).cast(APPROVED_PROPOSALS).unique(_PROPOSAL, maintain_order=True)
        )
        charged = (
            terms.charges.join(terms.book.charges.select("charge", "model"), on="charge")
            .filter(pl.col("model") == OUTCOME)
            .select("terms", pl.col("key").alias("charge"), "description", "position")
        )
        last = _last_terms(given, segments)
        wider = last.join(charged, on=["terms", "charge"], how="left", maintain_order="left")
        chosen = _billing_invoice(wider).select(*_PROPOSAL, *_BILLED_BY)
        found = given.join(chosen, on=_PROPOSAL, how="left", maintain_order="left").with_columns(
            pl.coalesce("bearer", "subscription").alias("subscription"), _reason().alias("reason")
        )
        return cls(_lines(found.filter(pl.col("reason").is_null())), _refused(found.drop_nulls("reason")))

    def placed(self, made: pl.DataFrame, issued: IssuedInvoices, closed_by: datetime | None) -> pl.DataFrame:
        """WORKING_LINES (not shown yet) on the invoices that bill them; those that wait left out.

        Args:
            made: INVOICE and currency of the invoices that this run makes.
            issued: those finalised before.
            closed_by: leave out what is approved later than this instant.
        """
        waiting = self.lines.filter(pl.col("invoice_id").is_null())
        hosted = (
            waiting.join(made.filter(pl.col("invoice_type") == "period").select(*INVOICE, "currency"), on=_ACCOUNT)
            .filter(pl.col("period_to") > pl.col("approved_at"))
            .sort("period_to", "revision", "proposal")
            .unique(_PROPOSAL, keep="first", maintain_order=True)
        )
        left = waiting.join(hosted, on=_PROPOSAL, how="anti", maintain_order="left")
        if closed_by is not None:
            left = left.filter(pl.col("approved_at") <= pl.lit(closed_by, INSTANT))
        return pl.concat(WORKING_LINES.conform(one, unset=_UNSET) for one in (hosted, _alone(left, issued)))


def _last_terms(given: pl.DataFrame, segments: pl.DataFrame) -> pl.DataFrame:
    """The terms that held last in each proposal's period, of each of the customer's subscriptions."""
    lives = segments.select(
        "tenant", "customer", "from", "terms", "subscription_start", "subscription_end",
        bearer="subscription", billed_in="currency",
    )  # fmt: skip
    return (
        given.join(lives, on=["tenant", "customer"])
        .filter(pl.col("from") < pl.col("period_to"))
        .sort("from")
        .unique([*_PROPOSAL, "bearer"], keep="last", maintain_order=True)
        .with_columns(pl.col("subscription_end").alias("over"))
    )


def _billing_invoice(candidates: pl.DataFrame) -> pl.DataFrame:
    """The subscription billed for each proposal: the one named, unless only another can."""
    named = pl.col("bearer") == pl.col("subscription")
    able = pl.col("description").is_not_null() & (pl.col("currency") == pl.col("billed_in"))
    runs = pl.col("over").is_null() | (pl.col("over") >= pl.col("period_to"))
    return (
        candidates.filter(named | (able & runs))
        .with_columns((named & able).alias("is_named"), able.alias("is_able"))
        .sort("is_named", "is_able", "subscription_start", "bearer", descending=[True, True, False, False])
        .unique(_PROPOSAL, keep="first", maintain_order=True)
    )


def _alone(left: pl.DataFrame, issued: IssuedInvoices) -> pl.DataFrame:
    """Lines of subscriptions that no closing invoice will come for: each approval makes an invoice."""
    closed = issued.closing.group_by(SUBSCRIPTION).agg(pl.col("period_to").max().alias("closed_until"))
    last = left.join(closed, on=SUBSCRIPTION, how="left", maintain_order="left")
    over = pl.col("over") <= pl.col("approved_at")
    own = last.filter(over | (pl.col("closed_until") >= pl.col("over")).fill_null(value=False)).with_columns(
        pl.lit(INVOICE_TYPE).alias("invoice_type"),
        pl.col("approved_at").alias("period_from"),
        pl.col("approved_at").alias("period_to"),
    )
    return issued.with_revisions(own, INVOICE[1:-1])


def _reason() -> pl.Expr:
    return (
        pl.when(pl.col("period_from") >= pl.col("period_to"))
        .then(pl.lit("bad_period"))
        .when(pl.col("amount").abs() >= pl.lit(LARGEST).cast(EXACT))
        .then(pl.lit("out_of_range"))
        .when(pl.col("terms").is_null())
        .then(pl.lit("unknown_subscription"))
        .when(pl.col("description").is_null())
        .then(pl.lit("unknown_charge"))
        .when(pl.col("currency") != pl.col("billed_in"))
        .then(pl.lit("wrong_currency"))
    )


def _lines(found: pl.DataFrame) -> pl.DataFrame:
    about = pl.format(
        "value model {}, commit {}, run {}, proposal {}",
        *(pl.col(name).fill_null("") for name in ("model", "commit_id", "run_hash", "proposal")),
    )
    return found.select(
        *SUBSCRIPTION, "terms", "proposal", "approved_at", "invoice_id", "over", "currency", "description",
        pl.col("charge").alias("key"),
        pl.col("position").cast(pl.Int32).alias("rank"),
        pl.lit(OUTCOME).alias("kind"),
        pl.col("period_from").alias("service_from"),
        pl.col("period_to").alias("service_to"),
        pl.lit("").alias("dimensions"),
        pl.col("amount").alias("amount_precise"),
        pl.lit([], LINES["tiers"]).alias("tiers"),
        about.alias("explains"),
    )  # fmt: skip


def _refused(wrong: pl.DataFrame) -> pl.DataFrame:
    why = pl.col("reason").replace_strict(_REASONS, return_dtype=pl.String)
    return wrong.select(
        "tenant",
        pl.lit("outcome").alias("source"),
        pl.col("proposal").alias("event_id"),
        pl.lit("outcome.proposal").alias("type"),
        "reason",
        pl.format(
            "proposal '{}' for charge '{}' of subscription '{}': {}", "proposal", "charge", "subscription", why
        ).alias("message"),
        pl.col("approved_at").alias("event_time"),
    ).cast(REJECTED_EVENTS)
