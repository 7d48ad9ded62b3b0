"""Lines that follow from others, in SQL: corrections of usage, commitments and outcomes, from plain inputs.

What subscriptions went through that these do not follow is left to the rules of totals, and counted as such (0510).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import polars as pl


def judged(billed: Mapping[str, pl.DataFrame]) -> Iterator[str]:
    """The tables of what such lines come to; without rows, and so without time to plan, where none was billed."""
    for booked, name, none, query in (
        ("corrections", "judged_corrections", _NO_CORRECTIONS, _CORRECTIONS),
        ("committed", "judged_minimums", _NO_MINIMUMS, _MINIMUMS),
        ("outcomes", "judged_outcomes", _NO_OUTCOMES, _OUTCOMES),
    ):
        yield f"create table {name} as {none if billed[booked].is_empty() else query}"


_NO_CORRECTIONS = """
select
    tenant, billed_by, line_no, charge, cell, null::hugeint as amount_due, null::hugeint as amount_booked,
    null::hugeint as quantity_due, null::hugeint as quantity_booked
from corrected
where false
"""
_NO_MINIMUMS = """
select tenant, invoice_id, cell, null::hugeint as due, null::hugeint as booked
from committed_periods
where false
"""
_NO_OUTCOMES = """
select
    tenant, billed_by, line_no, charge, cell, null::hugeint as proposed, null::hugeint as booked,
    null::hugeint as fee, null::boolean as agrees, null::hugeint as fee_due
from outcomes
where false
"""

# Subscriptions with one start and no other event, and those that ended beside them.
LATER = """
create table plain_holders as
select held.*
from holders as held
where
    (held.tenant, held.subscription) in (
        select (tenant, subscription) from statements group by tenant, subscription having count(*) = 1
    )
    and (held.tenant, held.subscription) not in (
        select (tenant, subscription) from moments where kind in ('paused', 'resumed', 'changed')
    )
    and (held.tenant, held.customer) not in (select (tenant, customer) from moved where customer is not null)
    and held.tenant not in (select tenant from moved where customer is null);

-- A period that is worked out again as known to the invoice that bills the correction. What was stated of the
-- subscription since its own invoice may have changed more than usage.
create table corrected as
select
    2000000000000 + row_number() over () as line_id,
    changed.* replace (
        changed.known_at::timestamptz as known_at,
        changed.service_from::timestamptz as service_from,
        changed.service_to::timestamptz as service_to
    ),
    cast(held.anchor as varchar) as anchor,
    held.timezone,
    cast(held.started_at as varchar) as started_at,
    cast(held.ended_at as varchar) as ended_at
from corrections as changed
inner join plain_holders as held on changed.tenant = held.tenant and changed.subscription = held.subscription
where
    held.ended_at >= changed.period_to::timestamptz
    and (held.tenant, held.customer) not in (select (tenant, customer) from burdens where kind = 'discounted')
    and held.tenant not in (select tenant from discounted_tenants)
    and not exists (
        select 1 from moments as ended
        where ended.tenant = held.tenant and ended.subscription = held.subscription and ended.kind = 'ended'
            and ended.stated_at < changed.period_to::timestamptz
    )
    and not exists (
        select 1 from received_late as late
        where
            late.tenant = held.tenant
            and late.known_since > changed.first_known_at::timestamptz
            and coalesce(late.customer, held.customer) = held.customer
            and coalesce(late.subscription, held.subscription) = held.subscription
            and (late.of_catalog is null or late.of_catalog <= held.started_at)
    );

insert into every_line by name
select
    changed.* exclude (
        billed_by, line_no, cell, first_known_at, period_to, before_minor, before_quantity, amount_minor, quantity
    ),
    'again ' || changed.line_id as invoice_id,
    'usage' as kind,
    currency.places,
    false as early,
    false as so_far,
    false as given_back,
    false as moved,
    true as absent
from corrected as changed
left join currencies as currency on changed.currency = currency.currency;

create table committed_periods as
select
    3000000000000 + row_number() over () as line_id,
    period.* replace (
        period.known_at::timestamptz as known_at,
        period.period_from::timestamptz as period_from,
        period.period_to::timestamptz as period_to
    ),
    cast(held.anchor as varchar) as anchor,
    held.timezone,
    cast(held.started_at as varchar) as started_at,
    cast(held.ended_at as varchar) as ended_at
from committed as period
inner join plain_holders as held on period.tenant = held.tenant and period.subscription = held.subscription
where held.ended_at >= period.period_to::timestamptz;

insert into every_line by name
select
    period.* exclude (cell, invoice_id, period_from, period_to, counted_minor, minimum_minor),
    period.invoice_id,
    period.period_from as service_from,
    period.period_to as service_to,
    'minimum' as kind,
    'commitment' as charge,
    currency.places,
    false as early,
    false as so_far,
    false as given_back,
    false as moved,
    true as absent
from committed_periods as period
left join currencies as currency on period.currency = currency.currency;
"""

_CORRECTIONS = """
select
    changed.tenant,
    changed.billed_by,
    changed.line_no,
    changed.charge,
    changed.cell,
    to_step(own.recomputed, step_of(own.places), own.rounding_mode)
        - cast(changed.before_minor as hugeint) * step_of(own.places) as amount_due,
    cast(changed.amount_minor as hugeint) * step_of(own.places) as amount_booked,
    own.converted - units(changed.before_quantity) as quantity_due,
    units(changed.quantity) as quantity_booked
from corrected as changed
inner join priced as own using (line_id)
where
    own.not_priced is null and own.not_metered is null and own.recomputed is not null
    and not own.shares and not own.across_segments and own.rounding_level <> 'invoice'
    and abs(own.recomputed) < units('1000000000') and abs(own.converted) < units('1000000000000')
    -- The line of a charge that nothing had used: whether a split has usage now, which takes its place, is not asked.
    and not (own.unused and len(own.splits) > 0 and own.dimensions = '{}')
qualify count(*) over (partition by line_id) = 1;
"""

# In-advance fees of a period are on the invoice before; they count with what they came to.
_MINIMUMS = """
with

begun as (
    select
        own.line_id,
        own.term,
        bool_and(fee.prorate <> 'second') as plain,
        cast(sum(to_step(
            case when fee.prorate = 'none' then full_fee.amount
                else prorated(full_fee.amount, days.used_days, days.full_days) end,
            step_of(line.places), fee.rounding_mode
        )) as hugeint) as amount
    from plan_terms as own
    inner join every_line as line using (line_id)
    inner join line_days as days on own.line_id = days.line_id and own.term = days.term
    inner join plans as plan on own.term = plan.place
    inner join fees as fee
        on
            plan.catalog_hash = fee.catalog_hash
            and plan.plan = fee.plan
            and plan.version = fee.version
            and plan.overrides = fee.overrides
    inner join lateral (
        select case
            when fee.amount is not null then units(fee.amount)
            else times(units(fee.unit_amount), units(coalesce(
                json_extract_string(own.quantities, fee.quantity_path), fee.quantity, '1'
            )))
        end as amount
    ) as full_fee on true
    where fee.timing = 'in_advance'
    group by own.line_id, own.term
)

select
    period.tenant,
    period.invoice_id,
    period.cell,
    greatest(
        to_step(prorated(units(plan.commitment), days.used_days, days.full_days), step_of(line.places),
            plan.rounding_mode)
        - cast(period.counted_minor as hugeint) * step_of(line.places)
        - coalesce(begun.amount, 0::hugeint),
        0::hugeint
    ) as due,
    cast(period.minimum_minor as hugeint) * step_of(line.places) as booked
from committed_periods as period
inner join plan_terms as own using (line_id)
inner join plans as plan on own.term = plan.place
inner join every_line as line using (line_id)
inner join line_days as days on own.line_id = days.line_id and own.term = days.term
left join begun on own.line_id = begun.line_id and own.term = begun.term
where
    plan.commitment is not null and plan.trial = 0 and plan.rounding_level <> 'invoice'
    and days.full_days is not null and days.used_days > 0
    -- the days after an end are given back
    and period.period_to = days.full_to
    and coalesce(begun.plain, true);
"""

_OUTCOMES = """
select
    line.tenant,
    line.billed_by,
    line.line_no,
    line.charge,
    line.cell,
    units(line.proposed) as proposed,
    case when line.times = '1' then units(line.amount) else units(line.amount) * cast(line.times as hugeint) end
        as booked,
    units(line.fee_to_date) as fee,
    -- of the terms that were ever published under this key, those that it agrees with
    coalesce(bool_or(abs(contract.fee - units(line.fee_to_date)) * 2 <= contract.step + 2), true) as agrees,
    any_value(contract.fee) as fee_due
from outcomes as line
left join (
    select
        line.tenant, line.billed_by, line.line_no,
        times(units(line.realised), units(term.share)) as fee,
        step_of(currency.places) as step
    from outcomes as line
    inner join catalogs as catalog on line.tenant = catalog.tenant
    inner join charges as term
        on catalog.catalog_hash = term.catalog_hash and line.charge = term.charge and term.share is not null
    inner join currencies as currency on line.currency = currency.currency
    where line.realised is not null
) as contract
    on line.tenant = contract.tenant and line.billed_by = contract.billed_by and line.line_no = contract.line_no
group by all;
"""

LATER_CELLS = """
create view later_cells as
select tenant, 'correction:' || charge as check_name, cell, amount_due as expected, amount_booked as actual
from judged_corrections
union all
select tenant, 'correction_quantity:' || charge, cell, quantity_due, quantity_booked
from judged_corrections
union all
select tenant, 'minimum:commitment', cell, due, booked
from judged_minimums
union all
select tenant, 'outcome:' || charge, cell, proposed, booked
from judged_outcomes
union all
select tenant, 'outcome_fee:' || charge, cell, case when agrees then fee else fee_due end, fee
from judged_outcomes;

create view left_lines as
select *
from other_lines
where
    (tenant, invoice_id, line_no) not in (select (tenant, billed_by, line_no) from judged_corrections)
    and (tenant, invoice_id, line_no) not in (select (tenant, billed_by, line_no) from judged_outcomes)
    and not (
        kind = 'minimum' and charge = 'commitment'
        and (tenant, invoice_id) in (select (tenant, invoice_id) from judged_minimums)
    );
"""
