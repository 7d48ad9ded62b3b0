"""What lines come to, in SQL: quantities of lines and their parts, and each price model's amount, in units of 10^-18.

A line has one part, one per cell of a matrix, or one per meter of a capacity.
The chain is convert, included, price, discount, maximum, minimum; each product and quotient is rounded at 18 decimals.
"""

from __future__ import annotations

QUANTITIES = """
create table parts as
with

counted as (
    select line_id, term, part, units(count(*)) as quantity, count(*) as events
    from part_events
    where aggregation = 'count'
    group by all
),

numbered as (
    select *, units(quantity_of(value)) as number
    from part_events
    where aggregation in ('sum', 'min', 'max', 'latest', 'avg') and quantity_of(value) is not null
),

aggregated as (
    select
        line_id,
        term,
        part,
        case any_value(aggregation)
            when 'sum' then sum(number)
            when 'min' then min(number)
            when 'max' then max(number)
            when 'avg' then over(sum(number), units(count(*)))
            else last(number order by time, received_at, id, source)
        end as quantity,
        count(*) as events
    from numbered
    group by line_id, term, part
),

held as (
    select line_id, term, part, value, last(operation order by time, received_at, id, source) as operation,
        count(*) as events
    from part_events
    where aggregation = 'unique_count' and value is not null and operation in ('add', 'remove')
    group by line_id, term, part, value
),

unique_values as (
    select
        line_id,
        term,
        part,
        units(count(*) filter (where operation = 'add')) as quantity,
        cast(sum(events) as bigint) as events
    from held
    group by line_id, term, part
)

select * from counted
union all by name
select * from aggregated
union all by name
select * from unique_values;
"""

# ``converted`` is what the line shows: the metered quantity in priced units, below 0 where the meter is. Of a meter
# that is not recomputed the quantity that was booked is taken, so that at least its price is.
CONVERTED = """
create view whole_quantities as
select line_id, term, cast(sum(quantity) as hugeint) as quantity, cast(sum(events) as bigint) as events
from parts
group by line_id, term;

create table billable as
with

converted as (
    select
        line.*,
        term.* exclude (catalog_hash, charge, meter),
        coalesce(quantity.events, 0) as events,
        days.used_days,
        days.full_days,
        meter.not_metered,
        meter.aggregation,
        coalesce(quantity.quantity, 0::hugeint) as metered,
        case
            when meter.not_metered is null
                then priced_units(
                    coalesce(quantity.quantity, 0::hugeint), term.divide_by, term.multiply_by, term.convert_round
                )
            else units(line.booked_quantity)
        end as converted
    from lines as line
    inner join line_terms using (line_id)
    inner join charges as term on line_terms.term = term.term
    left join meters as meter on term.catalog_hash = meter.catalog_hash and line.meter = meter.meter
    left join whole_quantities as quantity on line.line_id = quantity.line_id and term.term = quantity.term
    left join line_days as days on line.line_id = days.line_id and term.term = days.term
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
    ) as billed
from taken;
"""

TIERS = """
create view walked as
select
    line_id,
    term,
    sum(least(
        case
            when tier.per is not null then times(blocks(inside, units(tier.per)), units(tier.unit))
            when model = 'graduated_percentage' then over(times(inside, units(tier.unit)), units('100'))
            else times(inside, units(tier.unit))
        end + case when entered then units(tier.flat) else 0::hugeint end,
        units(coalesce(tier.cap, '99999999999999999999'))
    )) as amount
from (
    select
        *,
        case
            when model = 'volume' then billed
            when billed > units(tier.above)
                then least(billed, coalesce(units(tier.up_to), billed)) - units(tier.above)
            else 0::hugeint
        end as inside,
        billed > units(tier.above) or (units(tier.above) = 0 and flat_at_zero) as entered
    from (
        select *, unnest(tiers) as tier
        from billable
        where model in ('graduated', 'volume', 'graduated_percentage')
    )
)
where
    (billed > units(tier.above) or units(tier.above) = 0)
    and (model <> 'volume' or tier.up_to is null or billed <= units(tier.up_to))
group by line_id, term;
"""

EVENT_PRICES = """
-- a percentage with parts per event, where the meter adds its events up: each event in the order of time
create view event_amounts as
with

numbered as (
    select
        event.*,
        term.* exclude (term, catalog_hash, charge, meter),
        case event.aggregation when 'count' then units('1') else units(quantity_of(event.value)) end as number
    from part_events as event
    inner join charges as term using (term)
    where term.per_event and event.aggregation in ('sum', 'count')
        and (event.aggregation = 'count' or quantity_of(event.value) is not null)
),

lined as (
    select
        *,
        priced_units(number, divide_by, multiply_by, convert_round) as unit_value,
        row_number() over sequence as place,
        cast(sum(priced_units(number, divide_by, multiply_by, convert_round)) over sequence as hugeint) as total
    from numbered
    window sequence as (
        partition by line_id, term order by time, received_at, source, id
        rows between unbounded preceding and current row
    )
),

rest as (
    select
        *,
        case when units(coalesce(included, '0')) > 0
            then greatest(total - units(included), 0::hugeint)
                - greatest(total - unit_value - units(included), 0::hugeint)
            else unit_value end as counted
    from lined
),

running as (
    select *, cast(sum(counted) over (
        partition by line_id, term order by place rows between unbounded preceding and current row
    ) as hugeint) as paid_total
    from rest
),

allowed as (
    select
        *,
        (free_events is null or place <= cast(free_events as bigint)) as in_number,
        (free_amount is null or paid_total <= units(free_amount)) as in_amount
    from running
),

judged as (
    select
        *,
        bool_or(not ((free_events is not null or free_amount is not null) and in_number and in_amount)) over (
            partition by line_id, term order by place rows between unbounded preceding and current row
        ) as paid
    from allowed
),

crossed as (
    select *, paid and not coalesce(lag(paid) over (partition by line_id, term order by place), false) as is_first
    from judged
),

priced as (
    select
        line_id,
        term,
        paid,
        min_per_event,
        max_per_event,
        over(times(
            case
                when is_first and in_number and coalesce(paid_total > units(free_amount), false)
                    then paid_total - units(free_amount)
                else counted
            end, units(rate)
        ), units('100')) + units(coalesce(fixed, '0')) as amount
    from crossed
)

select
    line_id,
    term,
    sum(case when paid then greatest(
        least(amount, units(coalesce(max_per_event, '99999999999999999999'))),
        units(coalesce(min_per_event, '-99999999999999999999'))
    ) else 0::hugeint end) as amount
from priced
group by line_id, term;

-- of a meter that does not add up, or without events: the quantity is one event
create view single_events as
select
    line_id,
    term,
    case
        when billed = 0 then 0::hugeint
        when free_events is not null and cast(free_events as bigint) >= 1
            and (free_amount is null or billed <= units(free_amount)) then 0::hugeint
        when free_events is null and free_amount is not null and billed <= units(free_amount) then 0::hugeint
        else greatest(
            least(
                over(times(
                    case
                        when free_amount is not null and billed > units(free_amount)
                            and (free_events is null or cast(free_events as bigint) >= 1)
                            then billed - units(free_amount)
                        else billed
                    end, units(rate)
                ), units('100')) + units(coalesce(fixed, '0')),
                units(coalesce(max_per_event, '99999999999999999999'))
            ),
            units(coalesce(min_per_event, '-99999999999999999999'))
        )
    end as amount
from billable
where model = 'percentage';

create view carried_amounts as
select line_id, term, cast(sum(units(quantity_of(carried))) as hugeint) as amount
from part_events
where carried is not null and quantity_of(carried) is not null
group by line_id, term;

create view cell_amounts as
select
    line.line_id,
    line.term,
    sum(times(
        priced_units(part.quantity, line.divide_by, line.multiply_by, line.convert_round),
        units(coalesce(list_filter(line.cells, lambda c: c.label = part.part)[1].unit, line.unit))
    )) as amount
from billable as line
inner join parts as part on line.line_id = part.line_id and line.term = part.term
where line.model = 'matrix'
group by line.line_id, line.term;

create view capacity_steps as
with

steps as (
    select line_id, term, unnest(steps) as step, generate_subscripts(steps, 1) as place
    from billable
    where model = 'capacity'
),

broken as (
    select limits.line_id, limits.term, limits.place
    from (select line_id, term, place, unnest(step.limits) as held from steps) as limits
    inner join parts as part
        on
            limits.line_id = part.line_id
            and limits.term = part.term
            and part.part = 'meter ' || limits.held.meter
            and part.quantity > units(limits.held.most)
)

select line_id, term, first(units(step.amount) order by place) as amount
from steps
where (line_id, term, place) not in (select (line_id, term, place) from broken)
group by line_id, term;
"""

PRICED = """
create table priced as
with

undiscounted as (
    select
        line.*,
        case line.model
            when 'standard' then times(line.billed, units(line.unit))
            when 'package' then times(
                to_whole(
                    over(greatest(line.billed - coalesce(units(line.free), 0::hugeint), 0::hugeint), units(line.size)),
                    coalesce(line.package_round, 'up')
                ),
                units(line.amount)
            )
            when 'percentage' then
                case
                    when line.converted < 0 then 0::hugeint
                    when line.per_event then coalesce(by_event.amount, alone.amount)
                    else alone.amount
                end
            when 'dynamic' then
                case when line.unit is not null then times(line.billed, units(line.unit))
                    else coalesce(carried.amount, 0::hugeint) end
            when 'matrix' then
                case when line.converted < 0 then 0::hugeint else coalesce(cell.amount, 0::hugeint) end
            when 'capacity' then step.amount
            else coalesce(tiers.amount, 0::hugeint)
        end as listed
    from billable as line
    left join walked as tiers using (line_id, term)
    left join event_amounts as by_event using (line_id, term)
    left join single_events as alone using (line_id, term)
    left join carried_amounts as carried using (line_id, term)
    left join cell_amounts as cell using (line_id, term)
    left join capacity_steps as step using (line_id, term)
),

discounted as (
    select *, listed - over(times(listed, coalesce(units(discount), 0::hugeint)), units('100')) as net
    from undiscounted
)

select
    * replace (case
        when not_priced is not null then not_priced
        when (minimum is not null or maximum is not null) and used_days is null
            then 'bounds of a period that does not begin and end at midnight'
        when so_far and maximum is not null then 'a maximum of a part of a period'
    end as not_priced),
    -- while more of the period follows, no minimum is due
    greatest(
        least(net, coalesce(prorated(units(maximum), used_days, full_days), net)),
        coalesce(
            case when not early then prorated(units(minimum), used_days, full_days) end,
            least(net, coalesce(prorated(units(maximum), used_days, full_days), net))
        )
    ) as recomputed
from discounted;
"""
