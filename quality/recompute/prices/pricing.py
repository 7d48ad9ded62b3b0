"""What lines come to, in SQL: each price model's amount of what was metered, in units of 10^-18.

A line has one part, one per cell of a matrix, or one per meter of a capacity.
The chain is convert, included, price, discount, maximum, minimum; each product and quotient is rounded at 18 decimals.
"""

from __future__ import annotations

# ``converted`` is what the line shows: the metered quantity in priced units, below 0 where the meter is. Of a meter
# that is not recomputed the quantity that was booked is taken, so that at least its price is.
CONVERTED = """
create view whole_quantities as
select
    line_id,
    term,
    cast(sum(quantity) as hugeint) as quantity,
    cast(sum(by_days) as hugeint) as by_days
from parts
group by line_id, term;

create table billable as
with

metered as (
    select
        line.*,
        term.* exclude (charge, meter, catalog_hash),
        term.catalog_hash as terms_hash,
        days.used_days,
        days.full_days,
        meter.aggregation,
        coalesce(
            meter.not_metered,
            unclear.reason,
            case
                when meter.aggregation = 'weighted_sum' and (days.full_from is null or days.full_to is null)
                    or term.by_days and days.full_days is null
                    then 'seconds or days of a period that does not begin and end at midnight'
            end
        ) as not_metered,
        case when term.rounding_level = 'tier' then step_of(line.places) end as tier_step,
        coalesce(quantity.quantity, 0::hugeint) as metered,
        quantity.by_days as metered_by_days,
        quantity.line_id is null as unused
    from lines as line
    inner join line_terms using (line_id)
    inner join charges as term on line_terms.term = term.term
    left join meters as meter on term.catalog_hash = meter.catalog_hash and line.meter = meter.meter
    left join whole_quantities as quantity on line.line_id = quantity.line_id and term.term = quantity.term
    left join line_days as days on line.line_id = days.line_id and term.term = days.term
    left join open_lines as unclear on line.line_id = unclear.line_id and term.term = unclear.term
),

converted as (
    select
        *,
        case
            when not_metered is not null then units(booked_quantity)
            else priced_units(metered, divide_by, multiply_by, convert_round)
        end as converted,
        case
            when not_metered is not null then units(booked_quantity)
            else priced_units(coalesce(metered_by_days, metered), divide_by, multiply_by, convert_round)
        end as converted_by_days
    from metered
),

-- what splits of one charge share: units included go to them in the order of their dimensions
taken as (
    select
        *,
        case when len(splits) = 0 then 0::hugeint else coalesce(
            cast(sum(greatest(converted, 0::hugeint)) over (
                partition by tenant, invoice_id, charge, service_from, term
                order by dimensions rows between unbounded preceding and 1 preceding
            ) as hugeint), 0::hugeint
        ) end as before
    from converted
)

select
    *,
    greatest(
        converted - greatest(coalesce(units(included), 0::hugeint) - before, 0::hugeint), 0::hugeint
    ) as billed,
    greatest(
        converted_by_days - greatest(coalesce(units(included), 0::hugeint) - before, 0::hugeint), 0::hugeint
    ) as billed_by_days
from taken;
"""

# What is priced by its quantity alone: whole lines (bucket 0), and buckets of hours or days by their own terms.
TO_PRICE = """
create view to_price as
select
    line_id, term, 0 as bucket, converted, billed, billed_by_days, tier_step, rounding_mode,
    model, unit, size, amount, free, package_round, flat_at_zero, tiers, rate, formula
from billable
where model <> 'bucketed'
union all by name
select
    line_id, term, bucket, value as converted, greatest(value, 0::hugeint) as billed,
    greatest(value, 0::hugeint) as billed_by_days, null::hugeint as tier_step, 'half_up' as rounding_mode,
    price.model, price.unit, price.size, price.amount, price.free, price.package_round, price.flat_at_zero,
    price.tiers, price.rate, price.formula
from bucket_values;
"""

FORMULAS = """
select line_id, term, bucket, formula, number_text(billed_by_days) as quantity
from to_price
where model = 'formula'
"""

BY_QUANTITY = """
create table amounts_by_quantity as
select
    asked.line_id,
    asked.term,
    asked.bucket,
    case asked.model
        when 'standard' then times(asked.billed_by_days, units(asked.unit))
        when 'package' then times(
            case
                when asked.package_round = 'down'
                    then (paid_units(asked.billed_by_days, asked.free) // units(asked.size)) * units('1')
                else blocks(paid_units(asked.billed_by_days, asked.free), units(asked.size))
            end,
            units(asked.amount)
        )
        when 'dynamic' then times(asked.billed_by_days, units(asked.unit))
        when 'percentage' then over(times(asked.billed_by_days, units(asked.rate)), units('100'))
        when 'formula' then units(worked_out.amount)
        else tiers.amount
    end as amount
from to_price as asked
left join walked as tiers
    on asked.line_id = tiers.line_id and asked.term = tiers.term and asked.bucket = tiers.bucket
left join formula_amounts as worked_out
    on asked.line_id = worked_out.line_id and asked.term = worked_out.term and asked.bucket = worked_out.bucket
where asked.model in (
    'standard', 'package', 'dynamic', 'percentage', 'formula', 'graduated', 'volume', 'graduated_percentage'
);

create view bucket_amounts as
select
    line_id,
    term,
    case when count(*) = count(due) then sum(due) end as amount
from (
    select
        bucket.line_id,
        bucket.term,
        case
            when bucket.commitment is null then own.amount
            when own.amount >= units(bucket.commitment)
                then units(bucket.commitment)
                    + times(own.amount - units(bucket.commitment), units(coalesce(bucket.overage_factor, '1')))
            when bucket.true_up then units(bucket.commitment)
            else own.amount
        end as due
    from bucket_values as bucket
    inner join amounts_by_quantity as own
        on bucket.line_id = own.line_id and bucket.term = own.term and bucket.bucket = own.bucket
)
group by line_id, term;
"""

PRICED = """
create table priced as
with

undiscounted as (
    select
        line.*,
        case
            -- a split without usage has no line: what any usage of the charge costs is not due for it
            when line.unused and line.not_metered is null and len(line.splits) > 0 and line.dimensions <> '{}'
                then 0::hugeint
            when line.model in ('percentage', 'matrix') and line.converted < 0 then 0::hugeint
            when line.model = 'percentage' and line.per_event then coalesce(by_event.amount, alone.amount)
            when line.model = 'percentage' then alone.amount
            when line.model = 'dynamic' and line.unit is null then coalesce(carried.amount, 0::hugeint)
            when line.model = 'matrix' then case when cell.unpriced then null else coalesce(cell.amount, 0::hugeint) end
            when line.model = 'capacity' then step.amount
            when line.model = 'bucketed' then bucketed.amount
            else plain.amount
        end as listed
    from billable as line
    left join amounts_by_quantity as plain
        on line.line_id = plain.line_id and line.term = plain.term and plain.bucket = 0
    left join bucket_amounts as bucketed on line.line_id = bucketed.line_id and line.term = bucketed.term
    left join event_amounts as by_event on line.line_id = by_event.line_id and line.term = by_event.term
    left join single_events as alone on line.line_id = alone.line_id and line.term = alone.term
    left join carried_amounts as carried on line.line_id = carried.line_id and line.term = carried.term
    left join cell_amounts as cell on line.line_id = cell.line_id and line.term = cell.term
    left join capacity_steps as step on line.line_id = step.line_id and line.term = step.term
),

discounted as (
    select *, listed - over(times(listed, coalesce(units(discount), 0::hugeint)), units('100')) as net
    from undiscounted
),

bounded as (
    select
        *,
        case when used_days is not null then prorated(units(maximum), used_days, full_days) end as most,
        case when used_days is not null then prorated(units(minimum), used_days, full_days) end as least_due,
        len(splits) > 0
            and (units(coalesce(included, '0')) > 0 or maximum is not null or minimum is not null) as shares,
        sum(net) over (partition by tenant, invoice_id, charge, service_from, term) as whole,
        min(service_from) over (partition by tenant, invoice_id, charge, dimensions) as first_served
    from discounted
)

select
    * replace (case
        when not_priced is not null then not_priced
        when not_metered is not null and model in ('matrix', 'capacity', 'percentage', 'dynamic', 'bucketed')
            then model || ' of ' || not_metered
        when not_metered is not null and by_days then 'days: ' || not_metered
        when across_segments and first_served < service_from then 'tiers that run on over a change'
        when (minimum is not null or maximum is not null) and used_days is null
            then 'bounds of a period that does not begin and end at midnight'
        when so_far and maximum is not null then 'a maximum of a part of a period'
        when so_far and shares then 'splits of a part of a period that share included units or bounds'
    end as not_priced),
    case
        -- a maximum over the lines of one charge is spread over them; its minimum is a line of its own
        when shares then case when whole > most then over(times(net, most), whole) else net end
        -- while more of the period follows, no minimum is due
        else greatest(least(net, coalesce(most, net)), coalesce(case when not early then least_due end, least(net,
            coalesce(most, net))))
    end as recomputed
from bounded;
"""
