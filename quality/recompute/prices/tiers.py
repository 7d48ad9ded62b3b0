"""Tiers, in SQL: by the whole quantity, or event by event where a unit counts by days."""

from __future__ import annotations

# Where units count by days, each event's days are priced by the tiers that its units fill.
TIER_DAYS = """
create table tier_days as
with

walks as (
    select
        event.line_id,
        event.term,
        priced_units(event.number, line.divide_by, line.multiply_by, line.convert_round) as value,
        priced_units(
            over(event.unit_days, units(event.full_days)), line.divide_by, line.multiply_by, line.convert_round
        ) as share,
        greatest(coalesce(units(line.included), 0::hugeint) - line.before, 0::hugeint) as included,
        line.tiers,
        row_number() over (
            partition by event.line_id, event.term order by event.time, event.received_at, event.id, event.source
        ) as place
    from unit_days as event
    inner join billable as line on event.line_id = line.line_id and event.term = line.term
    inner join meters as rule on line.terms_hash = rule.catalog_hash and event.meter = rule.meter
    where line.model in ('graduated', 'graduated_percentage') and not line.across_segments
        and rule.rounding is null and line.round_prorated is null
),

placed as (
    select
        *,
        cast(sum(value) over (partition by line_id, term order by place) as hugeint) - value - included as begins
    from walks
),

split as (
    select *, unnest(tiers) as tier, max(begins + value) over (partition by line_id, term) as highest
    from placed
)

select
    line_id,
    term,
    tier.above as above,
    any_value(highest) as highest,
    sum(case
        when least(greatest(begins, begins + value), coalesce(units(tier.up_to), greatest(begins, begins + value)))
            > greatest(least(begins, begins + value), units(tier.above))
            then over(
                times(share, least(
                    greatest(begins, begins + value), coalesce(units(tier.up_to), greatest(begins, begins + value))
                ) - greatest(least(begins, begins + value), units(tier.above))),
                abs(value)
            )
        else 0::hugeint
    end) as inside
from split
group by line_id, term, tier.above;
"""

NO_TIER_DAYS = """
create table tier_days as
select line_id, term, null::varchar as above, null::hugeint as highest, null::hugeint as inside
from billable
where false
"""
"""Instead of TIER_DAYS where no charge counts by days."""

TIERS = """
create view walked as
with

entered as (
    select
        asked.*,
        days.inside as inside_by_days,
        units(tier.above) as above,
        coalesce(units(tier.up_to), 99999999999999999999999999999999999999::hugeint) as up_to,
        greatest(asked.billed, coalesce(days.highest, asked.billed)) as top,
        tier
    from (
        select *, unnest(tiers) as tier
        from to_price
        where model in ('graduated', 'volume', 'graduated_percentage')
    ) as asked
    left join tier_days as days
        on asked.line_id = days.line_id and asked.term = days.term and asked.bucket = 0
            and asked.tier.above = days.above and asked.model <> 'volume'
),

filled as (
    select
        *,
        case
            when model = 'volume' then billed_by_days
            when inside_by_days is not null then inside_by_days
            when billed_by_days = billed then greatest(least(billed, up_to) - above, 0::hugeint)
            when billed > 0 then over(times(billed_by_days, greatest(least(billed, up_to) - above, 0::hugeint)), billed)
            when above = 0 then billed_by_days
            else 0::hugeint
        end as inside,
        case when model = 'volume' then billed > 0 or flat_at_zero else top > above or (above = 0 and flat_at_zero)
            end as enters
    from entered
    where case when model = 'volume' then (billed > above or above = 0) and billed <= up_to
        else top > above or above = 0 end
),

costs as (
    select
        *,
        least(
            case
                when tier.per is not null then times(blocks(inside, units(tier.per)), units(tier.unit))
                when model = 'graduated_percentage' then over(times(inside, units(tier.unit)), units('100'))
                else times(inside, units(tier.unit))
            end + case when enters then units(tier.flat) else 0::hugeint end,
            units(coalesce(tier.cap, '99999999999999999999'))
        ) as cost
    from filled
)

select
    line_id,
    term,
    bucket,
    -- where the policy is to round each tier's amount
    cast(sum(case when tier_step is null then cost else to_step(cost, tier_step, rounding_mode) end) as hugeint)
        as amount
from costs
group by line_id, term, bucket;
"""
