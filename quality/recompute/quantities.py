"""What meters come to over each line's service, in SQL: every aggregation, levels carried over, days and rounding."""

from __future__ import annotations

# Quantities of parts of lines before their meter's rounding. What was carried over counts from the line's beginning.
QUANTITIES = """
create table part_quantities as
with

counted as (
    select line_id, term, part, meter, units(count(*)) as quantity
    from part_events
    where aggregation = 'count'
    group by all
),

numbered as (
    select *, units(quantity_of(value)) as number
    from part_events
    where aggregation not in ('count', 'unique_count') and quantity_of(value) is not null
),

aggregated as (
    select
        line_id,
        term,
        part,
        meter,
        case any_value(aggregation)
            when 'sum' then sum(number)
            when 'min' then min(number)
            when 'max' then max(number)
            when 'avg' then over(sum(number), units(count(*)))
            else last(number order by time, received_at, id, source)
        end as quantity
    from numbered
    where aggregation <> 'weighted_sum'
    group by line_id, term, part, meter
),

-- levels, each for the seconds that are left of the line's service, over the seconds of the whole period
levels as (
    select
        event.line_id,
        event.term,
        event.part,
        event.meter,
        over(
            sum(times(event.number, seconds_of(greatest(event.time, line.service_from), line.service_to))),
            seconds_of(any_value(days.full_from), any_value(days.full_to))
        ) as quantity
    from numbered as event
    inner join lines as line on event.line_id = line.line_id
    inner join line_days as days on event.line_id = days.line_id and event.term = days.term
    where event.aggregation = 'weighted_sum' and days.full_from is not null and days.full_to is not null
    group by event.line_id, event.term, event.part, event.meter
),

held as (
    select line_id, term, part, meter, value, last(operation order by time, received_at, id, source) as operation
    from part_events
    where aggregation = 'unique_count' and value is not null and operation in ('add', 'remove')
    group by line_id, term, part, meter, value
),

unique_values as (
    select line_id, term, part, meter, units(count(*) filter (where operation = 'add')) as quantity
    from held
    group by line_id, term, part, meter
)

select * from counted
union all by name
select * from aggregated
union all by name
select * from levels
union all by name
select * from unique_values;
"""

# What counts by days: a unit each day from its own on, a member each day on which it was there, over the days of the
# period.
BY_DAYS = """
create table dated_events as
select
    event.*,
    days.first_day,
    days.last_day,
    days.full_days,
    line.service_from,
    case when event.before then days.first_day else cast(timezone(line.timezone, event.time) as date) end as day
from part_events as event
inner join charges as term on event.term = term.term
inner join lines as line on event.line_id = line.line_id
inner join line_days as days on event.line_id = days.line_id and event.term = days.term
where term.by_days;

create view unit_days as
select
    *,
    units(quantity_of(value)) as number,
    times(units(quantity_of(value)), units(date_diff('day', day, last_day) + 1)) as unit_days
from dated_events
where aggregation = 'sum' and quantity_of(value) is not null;

create view member_days as
with

turns as (
    select
        *,
        operation = 'add' as adds,
        lag(operation = 'add', 1, false) over (
            partition by line_id, term, part, value order by time, received_at, id, source
        ) as added
    from dated_events
    where aggregation = 'unique_count' and value is not null and operation in ('add', 'remove')
),

stays as (
    select
        *,
        lead(time) over (partition by line_id, term, part, value order by time, received_at, id, source) as left_at
    from turns
    where adds <> added
),

placed as (
    select
        stay.*,
        coalesce(cast(timezone(line.timezone, stay.left_at) as date), stay.last_day) as left_day
    from stays as stay
    inner join lines as line on stay.line_id = line.line_id
    where stay.adds and (stay.left_at is null or stay.left_at >= stay.service_from)
)

select
    *,
    date_diff('day', day, left_day) + 1
        -- each day once, though the member left and came back
        - case when day = lag(left_day) over (
            partition by line_id, term, part, value order by time, received_at, id, source
        ) then 1 else 0 end as days
from placed;

create table part_days as
with

shares as (
    select line_id, term, part, over(sum(unit_days), units(any_value(full_days))) as share
    from unit_days
    group by line_id, term, part, kind
    union all
    select here.line_id, here.term, here.part,
        over(units(coalesce(sum(stay.days), 0)), units(any_value(here.full_days)))
    from (
        select distinct line_id, term, part, full_days from dated_events
        where aggregation = 'unique_count' and value is not null and operation in ('add', 'remove')
    ) as here
    left join member_days as stay
        on here.line_id = stay.line_id and here.term = stay.term and here.part = stay.part
    group by here.line_id, here.term, here.part
)

select
    share.line_id,
    share.term,
    share.part,
    cast(sum(case when term.round_prorated is null then share.share
        else to_step(share.share, step_of(term.round_prorated), 'up') end) as hugeint) as by_days
from shares as share
inner join charges as term on share.term = term.term
group by share.line_id, share.term, share.part;
"""

NO_DAYS = """
create table part_days as select line_id, term, part, null::hugeint as by_days from part_quantities where false
"""
"""Instead of BY_DAYS where no charge counts by days."""

PARTS = """
create table parts as
select
    found.line_id,
    found.term,
    found.part,
    case when meter.rounding is null then found.quantity
        else to_step(found.quantity, step_of(meter.places), meter.rounding) end as quantity,
    case when meter.rounding is null then days.by_days
        else to_step(days.by_days, step_of(meter.places), meter.rounding) end as by_days
from part_quantities as found
inner join charges as term on found.term = term.term
inner join meters as meter on term.catalog_hash = meter.catalog_hash and found.meter = meter.meter
left join part_days as days
    on found.line_id = days.line_id and found.term = days.term and found.part = days.part;
"""
