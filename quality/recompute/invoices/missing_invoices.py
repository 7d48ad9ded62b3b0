"""Invoices that have to be there, in SQL: the periods that close in the month, drawn from plans and subscriptions.

A right month that is held is worse than a fault that passes, so this asks only where the rule is certain (0509).
"""

from __future__ import annotations

# Of subscriptions that were never changed or paused, in a time zone that never changed, as far as billing knew and has
# come: a tenant's month was billed up to what its newest invoice says. An end that became known later closes a period
# elsewhere, so any closing invoice that overlaps a period stands for it.
EXPECTED = """
create table expected_periods as
with

settled as (
    select tenant, subscription
    from statements
    group by tenant, subscription
    having count(*) = 1
),

known as (
    select tenant, subscription
    from moments
    group by tenant, subscription
    having not bool_or(kind in ('paused', 'resumed', 'changed')) and count(*) filter (where kind = 'started') = 1
),

drawn as (
    select
        held.tenant,
        held.customer,
        held.subscription,
        held.currency,
        held.timezone,
        held.started_at,
        held.ended_at,
        plan.trial,
        plan.skips_zero,
        plan.threshold,
        plan.commitment,
        plan.catalog_hash,
        plan.plan,
        plan.version,
        plan.overrides,
        state.quantities,
        plan.align = 'calendar' as aligned,
        plan.period,
        case plan.period when 'week' then 7 when 'day' then 1 end * cast(plan.every as bigint) as days,
        case plan.period when 'year' then 12 when 'quarter' then 3 when 'month' then 1 end as months,
        cast(plan.every as bigint) as every,
        cast(held.anchor as date) as anchor,
        calendar.first::timestamptz as first,
        calendar.after::timestamptz as after,
        calendar.billed_until::timestamptz as billed_until,
        calendar.known_at::timestamptz as known_at
    from holders as held
    inner join settled on held.tenant = settled.tenant and held.subscription = settled.subscription
    inner join known on held.tenant = known.tenant and held.subscription = known.subscription
    inner join statements as state on held.tenant = state.tenant and held.subscription = state.subscription
    inner join calendars as calendar
        on
            held.tenant = calendar.tenant
            and state.received_at <= calendar.known_at::timestamptz
    inner join catalogs as catalog
        on
            held.tenant = catalog.tenant
            and held.started_at >= catalog.valid_from
            and held.started_at < catalog.valid_to
    inner join plans as plan
        on
            catalog.catalog_hash = plan.catalog_hash
            and state.plan = plan.plan
            and (state.version = plan.version or (state.version is null and plan.newest))
            and state.overrides = plan.overrides
    where
        held.ended_at > held.started_at
        and (held.tenant, held.customer) not in (select (tenant, customer) from moved where customer is not null)
        and held.tenant not in (select tenant from moved where customer is null)
        and not exists (
            select 1 from received_late as late
            where
                late.tenant = held.tenant
                and late.known_since > calendar.known_at::timestamptz
                and coalesce(late.customer, held.customer) = held.customer
                and coalesce(late.subscription, held.subscription) = held.subscription
                and (late.of_catalog is null or late.of_catalog <= held.started_at)
        )
),

phased as (
    select
        *,
        months * every as step,
        case when aligned then 1 else day(anchor) end as boundary_day,
        year(anchor) * 12 + month(anchor) - 1
            - case when aligned then (year(anchor) * 12 + month(anchor) - 1) % months else 0 end as phase,
        case when aligned and period = 'week' then cast(date_trunc('week', anchor) as date) else anchor end
            as day_phase,
        cast(timezone(timezone, first) as date) as first_day
    from drawn
),

numbered as (
    select
        *,
        unnest(generate_series(
            case when days is null
                then cast(floor((year(first_day) * 12 + month(first_day) - 1 - phase) / step) as bigint)
                else cast(floor(date_diff('day', day_phase, first_day) / days) as bigint) end - 1,
            case when days is null
                then cast(floor((year(first_day) * 12 + month(first_day) - 1 - phase) / step) as bigint) + 2
                else cast(floor(date_diff('day', day_phase, first_day) / days) as bigint) + 34 // days + 2 end
        )) as number
    from phased
),

bounded as (
    select
        *,
        midnight_of(timezone, case when days is null then month_boundary(phase + number * step, boundary_day)
            else day_phase + cast(number * days as integer) end) as full_from,
        midnight_of(timezone, case when days is null then month_boundary(phase + (number + 1) * step, boundary_day)
            else day_phase + cast((number + 1) * days as integer) end) as full_to
    from numbered
)

select
    *,
    greatest(full_from, started_at) as begins,
    least(full_to, ended_at) as closes
from bounded
where
    full_from is not null and full_to is not null
    and full_to > started_at and full_from < ended_at
    and least(full_to, ended_at) > first and least(full_to, ended_at) <= least(after, billed_until)
    -- a trial ends with a local day
    and (trial = 0 or full_from >= started_at + to_days(cast(trial + 2 as integer)));

create table missing_invoices as
select row_number() over () as number, expected.*
from expected_periods as expected
where not exists (
    select 1 from period_invoices as found
    where
        found.tenant = expected.tenant
        and found.subscription = expected.subscription
        and found.period_from::timestamptz < expected.closes
        and found.period_to::timestamptz > expected.begins
);

-- What they would come to, so that an invoice that billing holds back, since it cannot be priced, is recognised.
insert into every_line by name
select
    1000000000000 + row_number() over () as line_id,
    missing.tenant,
    missing.customer,
    missing.subscription,
    'missing ' || missing.number as invoice_id,
    term.meter,
    term.charge,
    'usage' as kind,
    missing.currency,
    currency.places,
    '{}' as dimensions,
    missing.begins as service_from,
    missing.closes as service_to,
    missing.known_at,
    missing.catalog_hash,
    cast(missing.anchor as varchar) as anchor,
    missing.timezone,
    cast(missing.started_at as varchar) as started_at,
    cast(missing.ended_at as varchar) as ended_at,
    false as early,
    false as so_far,
    false as given_back,
    false as moved,
    true as absent
from missing_invoices as missing
inner join charges as term using (catalog_hash, plan, version, overrides)
left join currencies as currency on missing.currency = currency.currency
where term.model <> 'outcome';
"""

# An invoice that cannot be priced, or that is out of range, is held back by billing, and is not missing. The bounds are
# far below those of the engine: in between, the invoice is counted as left open.
MISSING_CELLS = """
create table judged_missing as
with

totals as (
    select
        line.tenant,
        line.invoice_id,
        bool_or(
            own.recomputed is null
            or own.not_priced is not null
            or own.not_metered is not null
            or abs(own.listed) >= units('1000000000')
            or abs(own.converted) >= units('1000000000000')
        ) as open,
        bool_or(own.recomputed <> 0) as comes_to_something,
        bool_or(own.recomputed < 0) as below_zero,
        max(own.recomputed) >= units('1') as above_zero
    from every_line as line
    left join priced as own using (line_id)
    where line.absent
    group by line.tenant, line.invoice_id
),

owed as (
    select
        missing.tenant,
        missing.number,
        bool_or(
            coalesce(try_cast(coalesce(fee.amount, '0') as decimal(38, 18)) >= 1000000000, true)
            or coalesce(try_cast(coalesce(fee.unit_amount, '0') as decimal(38, 18)) >= 100000, true)
            or coalesce(try_cast(coalesce(
                json_extract_string(missing.quantities, fee.quantity_path), fee.quantity, '1'
            ) as decimal(38, 18)) >= 100000, true)
        ) as open
    from missing_invoices as missing
    inner join fees as fee using (catalog_hash, plan, version, overrides)
    group by missing.tenant, missing.number
),

asked as (
    select
        missing.*,
        missing.overrides <> ''
            or coalesce(totals.open, false)
            or coalesce(owed.open, false)
            or coalesce(try_cast(missing.commitment as decimal(38, 18)) >= 1000000000, missing.commitment is not null)
            or (missing.tenant, missing.customer) in (select (tenant, customer) from burdens where kind = 'held')
            or (missing.tenant, missing.customer) in (
                select (tenant, customer) from proposals where abs(cast(amount as decimal(38, 18))) >= 1000000000
            ) as held_back,
        coalesce(totals.comes_to_something, false) as comes_to_something,
        -- what is left out where it comes to nothing: coupons, early invoices and credits may take all of it
        coalesce(totals.above_zero and not totals.below_zero, false)
            and missing.threshold is null
            and missing.ended_at > missing.closes
            and (missing.tenant, missing.customer) not in (
                select (tenant, customer) from burdens where kind = 'discounted'
            )
            and missing.tenant not in (select tenant from discounted_tenants) as above_zero
    from missing_invoices as missing
    left join totals on missing.tenant = totals.tenant and totals.invoice_id = 'missing ' || missing.number
    left join owed on missing.tenant = owed.tenant and missing.number = owed.number
)

select
    tenant,
    number,
    subscription || ' ' || cast(cast(closes as date) as varchar) as cell,
    not skips_zero or comes_to_something as due,
    held_back or (skips_zero and not above_zero) as unsure
from asked;

create view missing_cells as
select tenant, 'invoice_missing' as check_name, cell, units('1') as expected, units('0') as actual
from judged_missing
where due and not unsure;
"""
