"""Rules of an invoice's money: lines as shown, discounts, taxes, credits, and the journal that books them."""

from __future__ import annotations

import iso4217

from quality.rule import Rule

_DECIMALS = ", ".join(
    f"('{currency.code}', {currency.exponent})" for currency in iso4217.Currency if currency.exponent is not None
)
# Voided invoices count for nothing any more.
_NOT_VOIDED = (
    "not exists (select from billing.invoice_void as void "
    "where void.tenant_id = {0}.tenant_id and void.invoice_id = {0}.invoice_id)"
)
# The usage lines of an invoice and the corrections of them.
_PARTS = """(
    select own.* from billing.invoice_line as own
    where own.tenant_id = {0}.tenant_id and own.invoice_id = {0}.invoice_id and own.kind = 'usage'
        and own.corrected_invoice_id is null
    union all
    select own.* from billing.invoice_line as own
    where own.tenant_id = {0}.tenant_id and own.corrected_invoice_id = {0}.invoice_id and {not_voided own}
) as part
where part.key = {0}.key and part.dimensions is not distinct from {0}.dimensions"""
# A period whose begin or end was moved by a later event is billed again, and corrections take back what was billed on
# it: all its usage, and the amount as far as credit notes allow it. An amount of zero needs no correction.
_BILLED = """not (
    select coalesce(sum(part.quantity), 0) = 0 and coalesce(sum(part.event_count), 0) = 0
        and (bool_or(part.corrected_invoice_id is not null)
            or coalesce(sum(part.amount_minor - part.discount_minor), 0) = 0)
    from {parts of 0}
)""".replace("{parts of 0}", _PARTS)
# A change known late that ends a billed period earlier leaves its first days billed, and the periods after it bill the
# rest. Corrections take that back, and may hold late usage of the first days too: either they have taken back as many
# events as the later period bills (one that goes on beyond the old end also has events of its own), or what they leave
# is no more than what happened before it began.
_ENDS_BEFORE = """(
    {0}.service_from < {1}.service_from
    and (
        (
            select case when {1}.service_to > {0}.service_to then least(coalesce(sum(part.event_count), 0), 1)
                else coalesce(sum(part.event_count), 0) end
            from {parts of 1}
        ) <= (
            select -coalesce(sum(part.event_count) filter (where part.corrected_invoice_id is not null), 0)
            from {parts of 0}
        )
        or (select coalesce(sum(part.event_count), 0) from {parts of 0}) <= (
            select coalesce(sum(used.events), 0)
            from billing.usage_daily as used
            inner join billing.subscription as subscription
                on used.tenant_id = subscription.tenant_id and subscription.subscription = other.subscription
                and used.customer = subscription.customer
            where used.tenant_id = {0}.tenant_id and used.meter = {0}.meter
                and used.subscription in ('', subscription.subscription)
                and used.day >= cast({0}.service_from at time zone subscription.timezone as date)
                and used.day < cast(
                    ({1}.service_from at time zone subscription.timezone) + interval '1 day' - interval '1 microsecond'
                    as date
                )
                and coalesce(cast(nullif(used.dimensions, '') as jsonb), jsonb_build_object())
                    @> coalesce({0}.dimensions, jsonb_build_object())
        )
    )
)""".replace("{parts of 0}", _PARTS).replace("{parts of 1}", _PARTS.replace("{0}", "{1}"))


def _filled(query: str) -> str:
    """A query with the currencies' decimals, and with the conditions that an invoice was not voided (``not_voided``),
    that corrections have not taken back what its line bills (``billed``), and that the usage left on the one
    line is of the time before the other (``ends_before``)."""
    for pair in ("lines line", "line lines"):
        first, second = pair.split()
        query = query.replace(f"{{ends_before {pair}}}", _ENDS_BEFORE.replace("{0}", first).replace("{1}", second))
    for table in ("lines", "twice", "line"):
        query = query.replace(f"{{billed {table}}}", _BILLED.replace("{0}", table))
    for table in ("batch", "other", "every", "own"):
        query = query.replace(f"{{not_voided {table}}}", _NOT_VOIDED.format(table))
    return query.replace("{decimals}", _DECIMALS)


TOTALS: tuple[Rule, ...] = (
    Rule(
        "line_shows_its_amount",
        "invoice_line",
        "A line shows its precise amount in minor units of its currency, rounded by less than one",
        _filled("""
        select batch.tenant_id, cast(batch.invoice_id as text) || ' line ' || batch.line_no as example
        from {batch} as batch
        left join (values {decimals}) as minor (currency, places)
            on cast(batch.currency as text) = minor.currency
        -- a difference of two shown amounts is rounded twice
        where abs(batch.amount_minor - batch.amount_precise * power(10::numeric, minor.places)) >=
            case when batch.is_difference or batch.corrected_invoice_id is not null then 2 else 1 end
            or minor.places is null
        """),
    ),
    Rule(
        "usage_is_billed_once_for_its_period",
        "invoice_line",
        "No charge is billed twice for one period, nor on usage outside of the period that its invoice closes",
        _filled("""
        with lines as (
            select batch.tenant_id, batch.invoice_id, batch.key, batch.kind, batch.meter, batch.dimensions,
                batch.service_from, batch.service_to, invoice.customer, invoice.subscription, invoice.period_from,
                invoice.period_to
            from {batch} as batch
            inner join billing.invoice as invoice
                on batch.tenant_id = invoice.tenant_id and batch.invoice_id = invoice.invoice_id
            where batch.kind = 'usage' and not batch.is_difference and batch.corrected_invoice_id is null
                and {not_voided batch}
        )
        select tenant_id, subscription || ' ' || key as example
        from lines
        where service_from < period_from or service_to > period_to
        union all
        select twice.tenant_id, max(twice.subscription) || ' ' || max(twice.key)
        from (
            select *, count(*) over (
                partition by tenant_id, customer, subscription, key, dimensions, service_from
            ) as times
            from lines
        ) as twice
        where twice.times > 1 and {billed twice}
        group by twice.tenant_id, twice.customer, twice.subscription, twice.key, twice.dimensions, twice.service_from
        having count(*) > 1
        union all
        select lines.tenant_id, lines.subscription || ' ' || lines.key
        from lines
        inner join billing.invoice as other
            on lines.tenant_id = other.tenant_id and lines.subscription = other.subscription
            and lines.invoice_id <> other.invoice_id and other.invoice_type = 'period'
            and other.period_from < lines.service_to and other.period_to > lines.service_from
        inner join billing.invoice_line as line
            on other.tenant_id = line.tenant_id and other.invoice_id = line.invoice_id
            and lines.key = line.key and lines.dimensions is not distinct from line.dimensions
            and line.kind = 'usage' and not line.is_difference and line.corrected_invoice_id is null
            and line.service_from < lines.service_to and line.service_to > lines.service_from
        where {not_voided other} and {billed lines} and {billed line}
            and not {ends_before lines line} and not {ends_before line lines}
        """),
    ),
    Rule(
        "invoice_discounts_are_those_of_its_lines",
        "invoice",
        "The discount of every invoice is the sum over its lines and over its coupons",
        """
        select batch.tenant_id, coalesce(batch.number, cast(batch.invoice_id as text)) as example
        from {batch} as batch
        left join lateral (
            select coalesce(sum(line.discount_minor), 0) as total
            from billing.invoice_line as line
            where line.tenant_id = batch.tenant_id and line.invoice_id = batch.invoice_id
        ) as lines on true
        left join lateral (
            select coalesce(sum(discount.amount_minor), 0) as taken
            from billing.invoice_discount as discount
            where discount.tenant_id = batch.tenant_id and discount.invoice_id = batch.invoice_id
        ) as coupons on true
        where batch.discount_total_minor <> lines.total or batch.discount_total_minor <> coupons.taken
        """,
    ),
    Rule(
        "discount_is_no_more_than_its_line",
        "invoice_line",
        "A coupon takes at most what a line comes to, and has the line's sign",
        """
        select batch.tenant_id, cast(batch.invoice_id as text) || ' line ' || batch.line_no as example
        from {batch} as batch
        inner join (values (1)) as one (x) on true
        -- of a period that threshold invoices billed a part of, what coupons took so far is put right (0018)
        where not batch.is_difference and batch.corrected_invoice_id is null and batch.discount_minor <> 0
            and (abs(batch.discount_minor) > abs(batch.amount_minor)
                or sign(batch.discount_minor) <> sign(batch.amount_minor))
        """,
    ),
    Rule(
        "coupon_is_spread_over_its_lines_in_proportion",
        "invoice",
        "The part of an only percentage coupon on each line is in proportion to the line",
        """
        select batch.tenant_id, coalesce(batch.number, cast(batch.invoice_id as text)) as example
        from {batch} as batch
        inner join lateral (
            select
                sum(line.amount_minor) as amount,
                sum(line.discount_minor) as discount,
                bool_and(
                    line.amount_minor > 0 and not line.is_difference and line.corrected_invoice_id is null
                ) as plain
            from billing.invoice_line as line
            where line.tenant_id = batch.tenant_id and line.invoice_id = batch.invoice_id
                and line.discount_minor <> 0
        ) as off on off.plain
        inner join billing.invoice_line as line
            on batch.tenant_id = line.tenant_id and batch.invoice_id = line.invoice_id and line.discount_minor <> 0
        where 1 = (
                select count(*) from billing.invoice_discount as discount
                where discount.tenant_id = batch.tenant_id and discount.invoice_id = batch.invoice_id
            )
            and abs(line.discount_minor - cast(off.discount as numeric) * line.amount_minor / off.amount) > 1
        """,
    ),
    Rule(
        "invoice_tax_is_that_of_its_lines",
        "invoice",
        "The tax of every invoice is the sum over its lines, and each rate times its base",
        """
        select batch.tenant_id, coalesce(batch.number, cast(batch.invoice_id as text)) as example
        from {batch} as batch
        left join lateral (
            select
                coalesce(sum(line.tax_minor), 0) as total,
                coalesce(sum(line.amount_minor - line.discount_minor) filter (where line.tax_minor <> 0), 0) as taxed
            from billing.invoice_line as line
            where line.tenant_id = batch.tenant_id and line.invoice_id = batch.invoice_id
        ) as lines on true
        left join lateral (
            select
                coalesce(sum(tax.amount_minor), 0) as taken,
                bool_or(abs(tax.amount_minor - tax.base_minor * tax.percent / 100) > 1) as wrong
            from billing.invoice_tax as tax
            where tax.tenant_id = batch.tenant_id and tax.invoice_id = batch.invoice_id
        ) as taxes on true
        where batch.tax_total_minor <> lines.total or batch.tax_total_minor <> taxes.taken or taxes.wrong
        """,
    ),
    Rule(
        "invoice_credits_add_up",
        "invoice",
        "The credits of every invoice add up, and no credit note pays more than it is worth",
        _filled("""
        select batch.tenant_id, coalesce(batch.number, cast(batch.invoice_id as text)) as example
        from {batch} as batch
        left join lateral (
            select coalesce(sum(credit.amount_minor), 0) as paid
            from billing.invoice_credit as credit
            where credit.tenant_id = batch.tenant_id and credit.invoice_id = batch.invoice_id
        ) as credits on true
        where batch.credit_total_minor <> credits.paid
        union all
        select batch.tenant_id, note.credit_note
        from {batch} as batch
        inner join billing.invoice_credit as used
            on batch.tenant_id = used.tenant_id and batch.invoice_id = used.invoice_id
        inner join billing.credit_note as note on used.tenant_id = note.tenant_id and used.origin = note.credit_note
        left join (values {decimals}) as minor (currency, places) on cast(note.currency as text) = minor.currency
        where used.amount_minor > 0 and note.amount * power(10::numeric, minor.places) < (
            select sum(every.amount_minor)
            from billing.invoice_credit as every
            where every.tenant_id = note.tenant_id and every.origin = note.credit_note and every.amount_minor > 0
                and {not_voided every}
        )
        """),
    ),
    Rule(
        "journal_entries_balance",
        "journal_posting",
        "Debits equal credits in every entry, which is in one currency",
        """
        select posting.tenant_id, posting.entry_id as example
        from (select distinct batch.tenant_id, batch.entry_id from {batch} as batch) as entry
        inner join billing.journal_posting as posting
            on entry.tenant_id = posting.tenant_id and entry.entry_id = posting.entry_id
        group by posting.tenant_id, posting.entry_id
        having sum(posting.amount_minor) <> 0
            or min(cast(posting.currency as text)) <> max(cast(posting.currency as text))
        """,
    ),
    Rule(
        "journal_books_the_invoice",
        "invoice",
        "The journal owes the receivable of every finalised invoice that it has booked, less its credits",
        _filled("""
        select batch.tenant_id, batch.number as example
        from {batch} as batch
        inner join lateral (
            select sum(posting.amount_minor) as owed
            from billing.journal_entry as entry
            inner join billing.journal_posting as posting
                on entry.tenant_id = posting.tenant_id and entry.entry_id = posting.entry_id
            where entry.tenant_id = batch.tenant_id and entry.kind = 'invoice' and entry.reference = batch.number
                and posting.account = 'receivable' and posting.invoice = batch.number
        ) as booked on booked.owed is not null
        where batch.status = 'finalised' and batch.total_minor >= 0 and {not_voided batch}
            and booked.owed <> batch.amount_due_minor
        """),
    ),
)
