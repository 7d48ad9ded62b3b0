"""Days that a line serves of its full period, in SQL, from the plan's period and the subscription's anchor."""

from __future__ import annotations

DAYS = """
-- local days that a line serves and days of its full period; null where a line does not begin and end at midnight, or
-- with its subscription
create table line_days as
with

dated as (
    select
        line.line_id,
        priced.term,
        cast(line.anchor as date) as anchor,
        cast(priced.every as bigint) as every,
        priced.period,
        priced.align = 'calendar' as aligned,
        timezone(line.timezone, line.service_from) as begins,
        timezone(line.timezone, line.service_to) as ends,
        line.service_from = line.started_at::timestamptz as starts,
        line.service_to = line.ended_at::timestamptz as stops
    from every_line as line
    inner join (
        select own.line_id, term.term, term.every, term.period, term.align
        from line_terms as own
        inner join charges as term on own.term = term.term
        where term.minimum is not null or term.maximum is not null
        union all
        select own.line_id, own.term, fee.every, fee.period, fee.align
        from fee_terms as own
        inner join fees as fee on own.term = fee.fee
    ) as priced using (line_id)
),

counted as (
    select
        *,
        cast(begins as date) as first_day,
        cast(ends as date) as last_day,
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
        case when aligned and period = 'week' then date_trunc('week', anchor) else anchor end as day_phase,
        months * every as step
    from counted
),

guessed as (
    select *, cast(floor((place - phase) / step) as bigint) as guess from phased
),

numbered as (
    select
        *,
        guess - case when month_boundary(phase + guess * step, boundary_day) > first_day then 1 else 0 end as number
    from guessed
)

select
    line_id,
    term,
    date_diff('day', first_day, last_day) as used_days,
    case
        when days is not null then days
        else date_diff(
            'day', month_boundary(phase + number * step, boundary_day),
            month_boundary(phase + (number + 1) * step, boundary_day)
        )
    end as full_days
from numbered;
"""
