"""Days that a line serves of its full period, in SQL, from the plan's period and the subscription's anchor."""

from __future__ import annotations

DAYS = """
-- local days that a line serves, days of its full period, and the instants that one goes from and to; null where a line
-- begins or ends neither at midnight nor at a billing event of its subscription, and where time zones have changed
create table line_days as
with

dated as (
    select
        line.line_id,
        priced.term,
        line.timezone,
        cast(line.anchor as date) as anchor,
        cast(priced.every as bigint) as every,
        priced.period,
        priced.align = 'calendar' as aligned,
        timezone(line.timezone, line.service_from) as begins,
        timezone(line.timezone, line.service_to) as ends,
        timezone(line.timezone, line.service_to - interval 1 microsecond) as last_instant,
        (line.tenant, line.subscription, line.service_from) in (
            select (tenant, subscription, stated_at) from moments
        ) or line.service_from = line.started_at::timestamptz as starts,
        (line.tenant, line.subscription, line.service_to) in (
            select (tenant, subscription, stated_at) from moments
        ) or line.service_to = line.ended_at::timestamptz as stops
    from every_line as line
    inner join (
        select own.line_id, term.term, term.every, term.period, term.align
        from line_terms as own
        inner join charges as term on own.term = term.term
        union all
        select own.line_id, own.term, fee.every, fee.period, fee.align
        from fee_terms as own
        inner join fees as fee on own.term = fee.fee
        union all
        select own.line_id, own.term, plan.every, plan.period, plan.align
        from plan_terms as own
        inner join plans as plan on own.term = plan.place
    ) as priced using (line_id)
    where not line.moved
),

counted as (
    select
        *,
        cast(begins as date) as first_day,
        cast(ends as date) as end_day,
        cast(last_instant as date) as last_day,
        case period when 'week' then 7 when 'day' then 1 end * every as days,
        case period when 'year' then 12 when 'quarter' then 3 when 'month' then 1 end as months,
        year(begins) * 12 + month(begins) - 1 as place,
        year(anchor) * 12 + month(anchor) - 1 as anchored,
        case when aligned then 1 else day(anchor) end as boundary_day
    from dated
    where (starts or begins = date_trunc('day', begins)) and (stops or ends = date_trunc('day', ends))
),

phased as (
    select
        *,
        case when aligned then anchored - anchored % months else anchored end as phase,
        case when aligned and period = 'week' then cast(date_trunc('week', anchor) as date) else anchor end
            as day_phase,
        months * every as step
    from counted
),

guessed as (
    select
        *,
        case when days is null then cast(floor((place - phase) / step) as bigint)
            else cast(floor(date_diff('day', day_phase, first_day) / days) as bigint) end as guess
    from phased
),

numbered as (
    select
        *,
        guess - case when days is null and month_boundary(phase + guess * step, boundary_day) > first_day then 1 else 0
            end as number
    from guessed
),

bounded as (
    select
        *,
        case when days is null then month_boundary(phase + number * step, boundary_day)
            else day_phase + cast(number * days as integer) end as full_first,
        case when days is null then month_boundary(phase + (number + 1) * step, boundary_day)
            else day_phase + cast((number + 1) * days as integer) end as full_end
    from numbered
)

select
    line_id,
    term,
    first_day,
    last_day,
    date_diff('day', first_day, end_day) as used_days,
    date_diff('day', full_first, full_end) as full_days,
    midnight_of(timezone, full_first) as full_from,
    midnight_of(timezone, full_end) as full_to
from bounded;
"""
