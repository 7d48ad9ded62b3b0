"""What the reconciliation compares, cell by cell, and how a check's cells become one row per tenant."""

from __future__ import annotations

# ``expected`` is the lake's side, ``actual`` what was booked, both in units of 10^-18.
LINE_CELLS = """
create view line_cells as
with

compared as (
    select
        *,
        units(booked_quantity) as quantity_booked,
        units(booked_amount) as amount_booked,
        row_number() over (
            partition by line_id
            order by converted <> units(booked_quantity), recomputed <> units(booked_amount), term
        ) as place
    from priced
)

select tenant, 'line_quantity:' || charge as check_name, cell, converted as expected, quantity_booked as
    actual
from compared
where place = 1 and meter is not null and not_metered is null and not absent
union all
select tenant, 'line_amount:' || charge, cell, recomputed, amount_booked
from compared
where place = 1 and not_priced is null and not absent;
"""

USAGE_CELLS = """
create view usage_cells as
with

metered as (
    select
        event.tenant,
        coalesce(event.customer, '') as customer,
        event.meter,
        sum(case event.aggregation when 'count' then units(1) else units(quantity_of(event.value)) end) as expected
    from readings as event
    where
        event.aggregation in ('sum', 'count')
        and event.known_from <= (select known_at from month)
        and (event.known_until > (select known_at from month) or event.known_until = 'infinity'::timestamptz)
        and event.time >= (select first from month)
        and event.time < (select after from month)
    group by all
),

booked as (
    select
        usage.tenant,
        usage.customer,
        usage.meter,
        sum(units(usage.quantity)) as actual
    from usage_daily as usage
    where (usage.tenant, usage.meter) in (
        select (catalog.tenant, meter.meter)
        from catalogs as catalog
        inner join meters as meter on catalog.catalog_hash = meter.catalog_hash
        group by all
        having bool_and(meter.aggregation in ('sum', 'count'))
    )
    group by all
)

select
    tenant,
    'usage:' || meter as check_name,
    customer as cell,
    coalesce(metered.expected, 0::hugeint) as expected,
    coalesce(booked.actual, 0::hugeint) as actual
from metered
full join booked using (tenant, customer, meter);
"""

COUNT_CELLS = """
create view count_cells as
select
    tenant,
    'received_is_accepted_duplicate_or_quarantined' as check_name,
    file as cell,
    units(received) as expected,
    units(accepted + duplicate + quarantined) as actual
from files
union all
select
    files.tenant,
    'accepted_events_are_in_the_lake',
    'all files',
    units(coalesce(any_value(found.events), 0)),
    units(sum(files.accepted))
from files
left join events_of_files as found on files.tenant = found.tenant
group by files.tenant
union all
select
    tenant,
    'accepted_usage_is_accounted_for',
    day,
    units(coalesce(found.events, 0)),
    units(coalesce(event_days.accepted, 0))
from event_days
full join (
    select tenant, cast(event_date as varchar) as day, count(*) as events
    from lake_events
    where
        not starts_with(type, 'billing.')
        and event_date >= (select cast(first as date) from month)
        and event_date < (select cast(after as date) from month)
        and received_at <= (select known_at from month)
    group by all
) as found using (tenant, day)
union all
select
    tenant,
    'accepted_is_billed_or_unbilled',
    day,
    units(accepted),
    units(billed + unbilled)
from event_days;
"""

SUMMARY = """
select
    tenant,
    check_name,
    cast(sum(expected) as varchar) as expected,
    cast(sum(actual) as varchar) as actual,
    count(*) filter (where expected <> actual) as different,
    count(*) as cells,
    string_agg(cell, ', ' order by cell) filter (where expected <> actual and place <= 3) as examples
from (
    select *, row_number() over (partition by tenant, check_name order by expected = actual, cell) as place
    from ({cells}) as cells
) as placed
group by tenant, check_name
order by tenant, check_name
"""

# What is left to the engine's word, and why.
NOT_RECOMPUTED = """
with

reasons as (
    select distinct tenant, charge, line_id, 'amount' as what, not_priced as reason
    from priced
    where not_priced is not null and not absent
    union all
    select distinct tenant, charge, line_id, 'quantity', not_metered
    from priced
    where not_metered is not null and not absent
    union all
    select tenant, charge, line_id, 'amount', 'the terms that it was priced by are not found'
    from every_line
    where (kind = 'fee' and line_id not in (select line_id from fee_terms))
        or (line_id in (select line_id from lines) and line_id not in (select line_id from line_terms))
    union all
    select tenant, charge, line_id, 'amount', 'a part of a period of a subscription that was changed'
    from every_line
    where kind = 'usage' and line_id not in (select line_id from lines)
    union all
    select tenant, charge, line_id, 'amount', 'days or seconds of a period that does not begin and end at midnight'
    from fee_shares
    where line_id not in (select line_id from fee_shares where share is not null)
    union all
    select tenant, 'invoice', number, 'amount', 'an invoice that billing may hold back'
    from judged_missing
    where due and unsure
    union all
    select tenant, charge, line_id, 'amount', kind || ': judged by the rules of totals alone'
    from left_lines
),

counted as (
    select tenant, charge, what, reason, count(distinct line_id) as lines from reasons group by all
)

select
    tenant,
    charge,
    string_agg('the ' || what || ' of ' || lines || ' line(s): ' || reason, '; ' order by what, reason)
from counted
group by tenant, charge
order by tenant, charge
"""
