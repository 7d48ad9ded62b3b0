"""DuckDB's own reading of the lake: usage totals and line amounts in SQL, in units of 10^-18, no floats.

DuckDB divides decimals as doubles, so decimals are taken as integers of 128 bits (``units``),
multiplied and divided as such; both round half away from zero at 18 decimals, as the billing rules say.
"""

from __future__ import annotations

# A macro pastes its arguments wherever they stand, so nested ones would grow without bound: each takes its
# arguments once, into a struct, and works on that.
MACROS = """
-- a quantity as the billing rules take it: a number below 10^12 with at most 18 decimals
create macro quantity_of(value) as case
    when abs(try_cast(value as decimal(38, 18))) < 1000000000000 and not regexp_matches(value, '[.][0-9]{19}')
        then try_cast(value as decimal(38, 18))
end;

create macro units(number) as cast(replace(cast(cast(number as decimal(38, 18)) as varchar), '.', '')
    as hugeint);

create macro times(a, b) as list_transform(
    list_transform([{'a': cast(a as hugeint), 'b': cast(b as hugeint)}], lambda p: {
        'sign': cast(sign(p.a) * sign(p.b) as hugeint),
        'ah': abs(p.a) // 1000000000, 'al': abs(p.a) % 1000000000,
        'bh': abs(p.b) // 1000000000, 'bl': abs(p.b) % 1000000000
    }),
    lambda h: h.sign * (
        h.ah * h.bh + (h.ah * h.bl + h.al * h.bh) // 1000000000
        + (
            ((h.ah * h.bl + h.al * h.bh) % 1000000000) * 1000000000 + h.al * h.bl + 500000000000000000
        ) // 1000000000000000000
    )
)[1];

create macro over(a, b) as list_transform(
    list_transform(
        list_transform([{'a': cast(a as hugeint), 'b': cast(b as hugeint)}], lambda p: {
            'sign': cast(sign(p.a) * sign(p.b) as hugeint),
            'b': abs(p.b), 'whole': abs(p.a) // abs(p.b), 'rest': (abs(p.a) % abs(p.b)) * 1000000000
        }),
        lambda d: {
            'sign': d.sign, 'b': d.b, 'part': d.whole * 1000000000 + d.rest // d.b, 'rest': (d.rest % d.b) *
            1000000000
        }
    ),
    lambda d: d.sign * (
        d.part * 1000000000 + d.rest // d.b + case when 2 * (d.rest % d.b) >= d.b then 1 else 0 end
    )
)[1];

create macro to_whole(number, way) as list_transform(
    [{'a': cast(number as hugeint), 'way': way, 'one': 1000000000000000000::hugeint}],
    lambda r: case
        when r.way = 'up' and r.a > 0 then ((r.a + r.one - 1) // r.one) * r.one
        when r.way = 'half_up' then cast(sign(r.a) as hugeint) * ((abs(r.a) + r.one // 2) // r.one) * r.one
        when r.way = 'down' and r.a < 0 then -((-r.a + r.one - 1) // r.one) * r.one
        when r.way in ('up', 'down') then (r.a // r.one) * r.one
        else r.a
    end
)[1];
"""

# Which versions of which usage events were known when. An amendment waits for its original, hides it once
# both are there, and is hidden by the next amendment of the same original.
VERSIONS = """
create view versions as
with

amendments as (
    select
        tenant,
        source,
        replaces as id,
        min(received_at) as replaced_at
    from lake_events
    where replaces is not null
    group by all
),

-- only amendments have siblings, so only they are ordered
ordered as (
    select
        *,
        lead(received_at) over (
            partition by tenant, source, replaces
            order by received_at, time, id
        ) as next_amendment_at
    from lake_events
    where replaces is not null
),

placed as (
    select *, null::timestamptz as next_amendment_at from lake_events where replaces is null
    union all by name
    select * from ordered
)

select
    event.tenant,
    event.customer,
    event.subscription,
    event.type,
    event.time,
    event.received_at,
    event.id,
    event.data,
    greatest(event.received_at, coalesce(original.received_at, event.received_at)) as known_from,
    least(
        coalesce(amended.replaced_at, 'infinity'::timestamptz), coalesce(event.next_amendment_at,
            'infinity'::timestamptz)
    ) as known_until
from placed as event
left join amendments as amended
    on event.tenant = amended.tenant and event.source = amended.source and event.id = amended.id
left join lake_events as original
    on event.tenant = original.tenant and event.source = original.source and event.replaces = original.id
where
    not starts_with(event.type, 'billing.')
    and event.data is not null
    and (event.replaces is null or original.id is not null);
"""

# Instants come as text; a plan that changed within the subscription's life leaves open which plan priced a
# line.
LINES = """
create table lines as
select
    booked.* replace (
        booked.service_from::timestamptz as service_from,
        booked.service_to::timestamptz as service_to,
        booked.known_at::timestamptz as known_at
    ),
    (booked.tenant, booked.subscription) in (
        select (tenant, json_extract_string(data, '$.subscription'))
        from lake_events
        where type = 'billing.subscription.changed'
    ) as changed
from booked_lines as booked;

create view holders as
select holding.* replace (holding.started_at::timestamptz as started_at, holding.ended_at::timestamptz as
    ended_at)
from holding_subscriptions as holding;

create view catalogs as
select published.* replace (published.valid_from::timestamptz as valid_from, published.valid_to::timestamptz
    as valid_to)
from published_catalogs as published;
"""

# One row per line and plan that may have priced it: several only when the subscription has changed its plan.
LINE_EVENTS = """
create table line_events as
select
    line.line_id,
    term.plan,
    term.version,
    meter.aggregation,
    event.time,
    event.received_at,
    event.id,
    json_extract_string(event.data, meter.path) as value,
    coalesce(json_extract_string(event.data, meter.operation), 'add') as operation
from lines as line
inner join charges as term
    on
        line.catalog_hash = term.catalog_hash
        and line.charge = term.charge
        and line.meter = term.meter
        and (line.changed or (line.own_plan = term.plan and line.own_version = term.version))
inner join meters as meter
    on line.catalog_hash = meter.catalog_hash and line.meter = meter.meter and meter.not_metered is null
inner join versions as event
    on
        line.tenant = event.tenant
        and line.customer = event.customer
        and meter.event_type = event.type
        and event.time >= line.service_from
        and event.time < line.service_to
        and event.known_from <= line.known_at
        and event.known_until > line.known_at
where
    (
        event.subscription = line.subscription
        or (
            event.subscription is null
            and not exists (
                select 1
                from holders as other
                where
                    other.tenant = line.tenant
                    and other.customer = line.customer
                    and other.meter = line.meter
                    and other.subscription <> line.subscription
                    and event.time >= other.started_at
                    and event.time < other.ended_at
                    and len(list_filter(
                        other.conditions,
                        lambda c: json_extract_string(event.data, c.path) is distinct from c.value
                    )) = 0
            )
        )
    )
    and len(list_filter(
        term.conditions, lambda c: json_extract_string(event.data, c.path) is distinct from c.value
    )) = 0
    and len(list_filter(term.rivals, lambda rival: len(list_filter(
        rival, lambda c: json_extract_string(event.data, c.path) is distinct from c.value
    )) = 0)) = 0
    and len(list_filter(
        term.splits,
        lambda s: json_extract_string(event.data, s.path) is distinct from
            json_extract_string(line.dimensions, s.path)
    )) = 0;
"""

QUANTITIES = """
create table quantities as
with

counted as (
    select line_id, plan, version, units(count(*)) as quantity, count(*) as events
    from line_events
    where aggregation = 'count'
    group by all
),

numbered as (
    select *, units(quantity_of(value)) as number
    from line_events
    where aggregation in ('sum', 'min', 'max', 'latest') and quantity_of(value) is not null
),

aggregated as (
    select
        line_id,
        plan,
        version,
        case any_value(aggregation)
            when 'sum' then sum(number)
            when 'min' then min(number)
            when 'max' then max(number)
            else last(number order by time, received_at, id)
        end as quantity,
        count(*) as events
    from numbered
    group by line_id, plan, version
),

held as (
    select line_id, plan, version, value, last(operation order by time, received_at, id) as operation,
        count(*) as events
    from line_events
    where aggregation = 'unique_count' and value is not null and operation in ('add', 'remove')
    group by line_id, plan, version, value
),

unique_values as (
    select
        line_id,
        plan,
        version,
        units(count(*) filter (where operation = 'add')) as quantity,
        cast(sum(events) as bigint) as events
    from held
    group by line_id, plan, version
)

select * from counted
union all by name
select * from aggregated
union all by name
select * from unique_values;
"""

PRICED = """
create table priced as
with

converted as (
    select
        line.*,
        term.* exclude (catalog_hash, charge, meter),
        coalesce(quantity.events, 0) as events,
        to_whole(
            case
                when term.divide_by is not null
                    then over(greatest(coalesce(quantity.quantity, 0::hugeint), 0::hugeint),
                        units(term.divide_by))
                when term.multiply_by is not null
                    then times(greatest(coalesce(quantity.quantity, 0::hugeint), 0::hugeint),
                        units(term.multiply_by))
                else greatest(coalesce(quantity.quantity, 0::hugeint), 0::hugeint)
            end,
            term.convert_round
        ) as converted
    from lines as line
    inner join charges as term
        on
            line.catalog_hash = term.catalog_hash
            and line.charge = term.charge
            and line.meter = term.meter
            and (line.changed or (line.own_plan = term.plan and line.own_version = term.version))
    inner join meters as meter
        on line.catalog_hash = meter.catalog_hash and line.meter = meter.meter and meter.not_metered is null
    left join quantities as quantity
        on line.line_id = quantity.line_id and term.plan = quantity.plan and term.version = quantity.version
),

billable as (
    select *, greatest(converted - coalesce(units(included), 0::hugeint), 0::hugeint) as billed from converted
),

walked as (
    select
        line_id,
        plan,
        version,
        sum(
            case
                when model = 'graduated' and billed > units(tier.above)
                    then times(
                        least(billed, coalesce(units(tier.up_to), billed)) - units(tier.above),
                            units(tier.unit)
                    )
                when model = 'volume' then times(billed, units(tier.unit))
                else 0::hugeint
            end
            + units(tier.flat)
        ) as amount
    from (select *, unnest(tiers) as tier from billable where model in ('graduated', 'volume'))
    where
        (billed > units(tier.above) or (billed = 0 and units(tier.above) = 0 and flat_at_zero))
        and (model = 'graduated' or tier.up_to is null or billed <= units(tier.up_to))
    group by line_id, plan, version
)

select
    line.*,
    times(
        case line.model
            when 'standard' then times(line.billed, units(line.unit))
            when 'package' then times(
                to_whole(
                    over(greatest(line.billed - coalesce(units(line.free), 0::hugeint), 0::hugeint),
                        units(line.size)),
                    coalesce(line.package_round, 'up')
                ),
                units(line.amount)
            )
            when 'percentage' then
                over(times(line.billed, units(line.rate)), units('100'))
                + times(units(line.events), coalesce(units(line.fixed), 0::hugeint))
            else coalesce(tiers.amount, 0::hugeint)
        end,
        units('1') - over(coalesce(units(line.discount), 0::hugeint), units('100'))
    ) as recomputed
from billable as line
left join walked as tiers
    on line.line_id = tiers.line_id and line.plan = tiers.plan and line.version = tiers.version;
"""
