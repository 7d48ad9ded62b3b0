"""DuckDB's own reading of the lake: which events each line was billed for, in SQL, in units of 10^-18, no floats.

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
        when r.way = 'half_even' and abs(r.a) % r.one = r.one // 2
            then cast(sign(r.a) as hugeint) * ((abs(r.a) // r.one + 1) // 2) * 2 * r.one
        when r.way = 'half_even' then cast(sign(r.a) as hugeint) * ((abs(r.a) + r.one // 2) // r.one) * r.one
        when r.way = 'down' and r.a < 0 then -((-r.a + r.one - 1) // r.one) * r.one
        when r.way in ('up', 'down') then (r.a // r.one) * r.one
        else r.a
    end
)[1];

-- blocks of a size that units start, counted on the exact quotient
create macro blocks(a, b) as list_transform(
    [{'a': cast(a as hugeint), 'b': cast(b as hugeint)}],
    lambda p: (p.a // p.b + case when p.a > 0 and p.a % p.b <> 0 then 1 else 0 end) * 1000000000000000000::hugeint
)[1];

create macro priced_units(metered, divisor, factor, way) as list_transform(
    [{'m': cast(metered as hugeint), 'd': divisor, 'f': factor, 'way': way}],
    lambda r: case
        when r.d is not null and r.way = 'up' then blocks(r.m, units(r.d))
        else to_whole(
            case when r.d is not null then over(r.m, units(r.d)) when r.f is not null then times(r.m, units(r.f))
                else r.m end,
            r.way
        )
    end
)[1];

create macro prorated(number, used, whole) as list_transform(
    [{'n': cast(number as hugeint), 'u': used, 'w': whole}],
    lambda r: case when r.u = r.w then r.n else over(times(r.n, units(r.u)), units(r.w)) end
)[1];

-- the local date on which the period begins that is counted in months from a phase
create macro month_boundary(place, day) as list_transform(
    [{'month': make_date(cast(place as bigint) // 12, cast(place as bigint) % 12 + 1, 1), 'day': cast(day as integer)}],
    lambda r: least(r.month + (r.day - 1), last_day(r.month))
)[1];
"""

# Which versions of which usage events were known when. An amendment waits for its original, hides it once
# both are there, and is hidden by the next amendment of the same original. Amendments and originals may lie on any
# date: files without an amendment are told from the table's log, and originals elsewhere are looked for only where an
# amendment of the dates in question has none among them.
AMENDMENTS = """
create table amendments as
select
    tenant,
    source,
    id,
    replaces,
    received_at,
    -- only amendments have siblings, so only they are ordered
    lead(received_at) over (
        partition by tenant, source, replaces
        order by received_at, time, id
    ) as next_amendment_at
from lake_amendments
where replaces is not null and tenant in (select tenant from chosen);

create table originals as
select tenant, source, id, received_at
from lake_events
where (tenant, source, id) in (select (tenant, source, replaces) from amendments);

create view missing_originals as
select here.tenant, here.source, here.replaces as id
from lake_events as here
where here.replaces is not null
    and (here.tenant, here.source, here.replaces) not in (select (tenant, source, id) from originals);
"""

ORIGINALS_ELSEWHERE = """
insert into originals
select tenant, source, id, received_at
from lake_everywhere
where (tenant, source, id) in (select (tenant, source, id) from missing_originals)
    and (tenant, source, id) not in (select (tenant, source, id) from originals);
"""

VERSIONS = """
create view versions as
with

replaced as (
    select
        tenant,
        source,
        replaces as id,
        min(received_at) as replaced_at
    from amendments
    group by all
)

select
    event.tenant,
    event.customer,
    event.subscription,
    event.type,
    event.time,
    event.received_at,
    event.source,
    event.id,
    event.data,
    greatest(event.received_at, coalesce(original.received_at, event.received_at)) as known_from,
    least(
        coalesce(amended.replaced_at, 'infinity'::timestamptz),
        coalesce(own.next_amendment_at, 'infinity'::timestamptz)
    ) as known_until
from lake_events as event
left join replaced as amended
    on event.tenant = amended.tenant and event.source = amended.source and event.id = amended.id
left join amendments as own
    on event.replaces is not null and event.tenant = own.tenant and event.source = own.source and event.id = own.id
left join originals as original
    on event.tenant = original.tenant and event.source = original.source and event.replaces = original.id
where
    not starts_with(event.type, 'billing.')
    and event.data is not null
    and (event.replaces is null or original.id is not null);
"""

# Instants come as text. What priced a line is among what its subscription had been told to be on when the line's
# service began: the last change that took effect at once (or the start), and changes after it that wait for a period's
# end. Of a subscription that was changed, a line may stand on the plans of another catalog than its invoice names.
LINES = """
create table every_line as
select
    booked.* replace (
        booked.service_from::timestamptz as service_from,
        booked.service_to::timestamptz as service_to,
        booked.known_at::timestamptz as known_at,
        booked.early = 'true' as early,
        booked.so_far = 'true' as so_far
    )
from booked_lines as booked;

-- What threshold invoices bore is taken off by key: of a changed subscription, off which of its lines is left open.
create view lines as
select * from every_line
where kind = 'usage' and (not so_far or (tenant, subscription) not in (
    select (tenant, subscription) from states group by tenant, subscription having count(*) > 1
));

create table line_states as
with

told as (
    select line.*, state.told_at, state.quantities, state.plan, state.version, state.overrides,
        max(state.told_at) filter (where not state.waits) over (partition by line.line_id) as since,
        count(*) over (partition by line.line_id) > 1 as changed
    from every_line as line
    inner join states as state
        on
            line.tenant = state.tenant
            and line.subscription = state.subscription
            and state.told_at <= line.service_from
            and state.received_at <= line.known_at
            and (state.known_until is null or state.known_until > line.known_at)
)

select * from told where told_at >= since;

create table line_terms as
select distinct told.line_id, term.term
from line_states as told
inner join charges as term
    on
        told.charge = term.charge
        and told.meter is not distinct from term.meter
        and told.plan = term.plan
        and (told.version = term.version or (told.version is null and (term.newest or told.changed)))
        and told.overrides = term.overrides
where
    told.kind = 'usage'
    and (
        term.catalog_hash = told.catalog_hash
        or (
            told.changed
            and (told.tenant, term.catalog_hash) in (select (tenant, catalog_hash) from published_catalogs)
        )
    );

create table fee_terms as
select distinct told.line_id, fee.fee as term, told.quantities
from line_states as told
inner join fees as fee
    on
        told.charge = fee.key
        and told.plan = fee.plan
        and (told.version = fee.version or (told.version is null and (fee.newest or told.changed)))
        and told.overrides = fee.overrides
where
    told.kind = 'fee'
    and (
        fee.catalog_hash = told.catalog_hash
        or (
            told.changed
            and (told.tenant, fee.catalog_hash) in (select (tenant, catalog_hash) from published_catalogs)
        )
    );

create view holders as
select holding.* replace (holding.started_at::timestamptz as started_at, holding.ended_at::timestamptz as
    ended_at)
from holding_subscriptions as holding;

create view catalogs as
select published.* replace (published.valid_from::timestamptz as valid_from, published.valid_to::timestamptz
    as valid_to)
from published_catalogs as published;
"""

# One row per line and terms that may have priced it: several only when the subscription has changed its plan.
LINE_EVENTS = """
create table part_events as
select
    line.line_id,
    term.term,
    case
        when term.model = 'capacity' then 'meter ' || meter.meter
        when term.model = 'matrix' then 'cell ' || list_aggregate(list_transform(
            term.axes, lambda a: coalesce('=' || json_extract_string(event.data, a.path), '-')
        ), 'string_agg', '/')
        else 'line'
    end as part,
    meter.aggregation,
    event.time,
    event.received_at,
    event.source,
    event.id,
    json_extract_string(event.data, meter.path) as value,
    coalesce(json_extract_string(event.data, meter.operation), 'add') as operation,
    json_extract_string(event.data, term.carried) as carried
from lines as line
inner join line_terms using (line_id)
inner join (select *, unnest(takes) as take from charges) as term on line_terms.term = term.term
inner join meters as meter
    on term.catalog_hash = meter.catalog_hash and term.take.meter = meter.meter and meter.not_metered is null
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
                    and other.meter = meter.meter
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
    and len(list_filter(term.take.rivals, lambda rival: len(list_filter(
        rival, lambda c: json_extract_string(event.data, c.path) is distinct from c.value
    )) = 0)) = 0
    and len(list_filter(
        term.splits,
        lambda s: json_extract_string(event.data, s.path) is distinct from
            json_extract_string(line.dimensions, s.path)
    )) = 0;
"""
