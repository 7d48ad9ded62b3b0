"""Amounts of price models that look at more than a quantity, in SQL: single events, cells of a matrix, capacities."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator


def event_prices(models: Collection[str]) -> Iterator[str]:
    """The views of what lines come to by the price models that look at more than a quantity.

    A model that no charge has gives a view without rows: to plan the whole one takes as long without lines as with
    them, and each is part of the plan of all prices, of which planning is most of a small month's time.

    Args:
        models: Names of the price models that charges of the month's catalogs have.
    """
    for model, views in _VIEWS.items():
        for name, none, query in views:
            yield f"create view {name} as {query if model in models else none}"


# A percentage with parts per event, where the meter adds its events up: each event in the order of time.
_EVENTS = """
with

numbered as (
    select
        event.line_id,
        event.term,
        event.time,
        event.received_at,
        event.source,
        event.id,
        line.divide_by,
        line.multiply_by,
        line.convert_round,
        line.rate,
        line.fixed,
        line.free_events,
        line.free_amount,
        line.min_per_event,
        line.max_per_event,
        greatest(coalesce(units(line.included), 0::hugeint) - line.before, 0::hugeint) as included,
        case event.aggregation when 'count' then units('1') else units(quantity_of(event.value)) end as number
    from part_events as event
    inner join billable as line on event.line_id = line.line_id and event.term = line.term
    where line.per_event and event.aggregation in ('sum', 'count')
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
        case when included > 0
            then greatest(total - included, 0::hugeint) - greatest(total - unit_value - included, 0::hugeint)
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
group by line_id, term
"""

# Of a meter that does not add up, or without events: the quantity is one event.
_SINGLE = """
select
    line_id,
    term,
    case
        when billed_by_days = 0 then 0::hugeint
        when free_events is not null and cast(free_events as bigint) >= 1
            and (free_amount is null or billed_by_days <= units(free_amount)) then 0::hugeint
        when free_events is null and free_amount is not null and billed_by_days <= units(free_amount) then 0::hugeint
        else greatest(
            least(
                over(times(
                    case
                        when free_amount is not null and billed_by_days > units(free_amount)
                            and (free_events is null or cast(free_events as bigint) >= 1)
                            then billed_by_days - units(free_amount)
                        else billed_by_days
                    end, units(rate)
                ), units('100')) + units(coalesce(fixed, '0')),
                units(coalesce(max_per_event, '99999999999999999999'))
            ),
            units(coalesce(min_per_event, '-99999999999999999999'))
        )
    end as amount
from billable
where model = 'percentage'
"""

_CARRIED = """
select line_id, term, cast(sum(units(quantity_of(carried))) as hugeint) as amount
from part_events
where carried is not null and quantity_of(carried) is not null
group by line_id, term
"""

# A cell is a quantity: below 0 it is priced as none.
_CELLS = """
select
    line.line_id,
    line.term,
    sum(times(
        priced_units(
            greatest(part.quantity, 0::hugeint), line.divide_by, line.multiply_by, line.convert_round
        ),
        units(coalesce(list_filter(line.cells, lambda c: c.label = part.part)[1].unit, line.unit))
    )) as amount,
    bool_or(
        part.quantity > 0
        and coalesce(list_filter(line.cells, lambda c: c.label = part.part)[1].unit, line.unit) is null
    ) as unpriced
from billable as line
inner join parts as part on line.line_id = part.line_id and line.term = part.term
where line.model = 'matrix'
group by line.line_id, line.term
"""

_STEPS = """
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
group by line_id, term
"""

_NO_AMOUNT = "select line_id, term, null::hugeint as amount from billable where false"
_NO_CELLS = "select line_id, term, null::hugeint as amount, null::boolean as unpriced from billable where false"
_VIEWS = {
    "percentage": [("event_amounts", _NO_AMOUNT, _EVENTS), ("single_events", _NO_AMOUNT, _SINGLE)],
    "dynamic": [("carried_amounts", _NO_AMOUNT, _CARRIED)],
    "matrix": [("cell_amounts", _NO_CELLS, _CELLS)],
    "capacity": [("capacity_steps", _NO_AMOUNT, _STEPS)],
}
"""Price model -> its views: name, the query without rows, the query."""
