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
        line.anchor,
        priced.every,
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

bounded as (
    select
        *,
        cast(begins as date) as first_day,
        cast(ends as date) as end_day,
        cast(last_instant as date) as last_day,
        full_period(begins, anchor, every, period, aligned) as whole
    from dated
    where (starts or begins = date_trunc('day', begins)) and (stops or ends = date_trunc('day', ends))
)

select
    line_id,
    term,
    first_day,
    last_day,
    date_diff('day', first_day, end_day) as used_days,
    date_diff('day', whole.first, whole.after) as full_days,
    midnight_of(timezone, whole.first) as full_from,
    midnight_of(timezone, whole.after) as full_to
from bounded;
"""
