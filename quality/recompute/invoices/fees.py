"""Fees and complete invoices, in SQL: what each fee line comes to, and which lines a closed period has to have."""

from __future__ import annotations

FEE_CELLS = """
create table fee_shares as
with

stated as (
    select
        line.*,
        fee.prorate,
        days.used_days,
        days.full_days,
        days.full_from,
        days.full_to,
        case
            when fee.amount is not null then units(fee.amount)
            else times(units(fee.unit_amount), units(coalesce(
                json_extract_string(own.quantities, fee.quantity_path), fee.quantity, '1'
            )))
        end as whole
    from every_line as line
    inner join fee_terms as own using (line_id)
    inner join fees as fee on own.term = fee.fee
    left join line_days as days on line.line_id = days.line_id and own.term = days.term
    where line.kind = 'fee'
)

select
    *,
    case prorate
        when 'none' then whole
        when 'day' then prorated(whole, used_days, full_days)
        else over(times(whole, seconds_of(service_from, service_to)), seconds_of(full_from, full_to))
    end * case when given_back then -1 else 1 end as share
from stated;

create view fee_cells as
with

compared as (
    select tenant, charge, cell, line_id, share as expected, units(booked_amount) as actual
    from fee_shares
    where share is not null
)

select tenant, 'fee:' || charge as check_name, cell, expected, actual
from (select *, row_number() over (partition by line_id order by expected <> actual) as place from compared)
where place = 1;
"""

# Of subscriptions that were never changed: whose plan changes within a period has the charges of several.
LINE_COUNT_CELLS = """
create view line_count_cells as
with

single as (
    select tenant, subscription
    from statements
    group by tenant, subscription
    having count(*) = 1
),

expected as (
    select distinct period.tenant, period.cell, period.keys, term.charge
    from closed_periods as period
    inner join single using (tenant, subscription)
    inner join statements as state using (tenant, subscription)
    inner join charges as term
        on
            period.catalog_hash = term.catalog_hash
            and state.plan = term.plan
            and (state.version = term.version or (state.version is null and term.newest))
            and state.overrides = term.overrides
    where term.model <> 'outcome'
)

select
    tenant,
    'lines_missing' as check_name,
    cell || ' ' || charge as cell,
    units('0') as expected,
    case when json_contains(keys, json_quote(charge)) then units('0') else units('1') end as actual
from expected;
"""
