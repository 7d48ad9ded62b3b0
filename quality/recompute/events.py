"""DuckDB's own reading of the lake: which version of an event was valid when, and what meters read of it."""

from __future__ import annotations

# Which versions of which usage events were known when. An amendment waits for its original, hides it once
# both are there, and is hidden by the next amendment of the same original. Amendments and originals may lie on any
# date: files without an amendment are found by the table's log, and originals elsewhere are looked for only where an
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
where replaces is not null and replaces <> id and tenant in (select tenant from chosen);

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

# An amendment that came before its original counts from the receipt of that one on, and stands in its place in order.
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
    greatest(event.received_at, coalesce(original.received_at, event.received_at)) as received_at,
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


# Formulas are worked out beforehand (quality/recompute/formulas.py) for the events of these types.
FORMULA_EVENTS = """
select distinct event.tenant, event.source, event.id, meter.rule, event.data
from versions as event
inner join catalogs as catalog
    on event.tenant = catalog.tenant and event.time >= catalog.valid_from and event.time < catalog.valid_to
inner join meters as meter on catalog.catalog_hash = meter.catalog_hash and event.type = meter.event_type
where meter.rule is not null
"""

# What meters read of events, by the catalog in force at each event's time. A dimension value must fit
# an index: at most 256 characters each, 1,400 bytes in all; else the event is unbilled (too_long).
READINGS = """
create view readings as
with

read as (
    select
        event.*,
        meter.meter,
        meter.aggregation,
        meter.dimension_paths,
        meter.aggregation = 'unique_count' as counts_values,
        coalesce(worked_out.value, case when meter.aggregation = 'unique_count' then text_of(event.data, meter.path)
            else json_extract_string(event.data, meter.path) end) as value,
        coalesce(json_extract_string(event.data, meter.operation), 'add') as operation
    from versions as event
    inner join catalogs as catalog
        on event.tenant = catalog.tenant and event.time >= catalog.valid_from and event.time < catalog.valid_to
    inner join meters as meter on catalog.catalog_hash = meter.catalog_hash and event.type = meter.event_type
    left join formula_values as worked_out
        on
            event.tenant = worked_out.tenant
            and event.source = worked_out.source
            and event.id = worked_out.id
            and meter.rule = worked_out.rule
    where meter.rule is null or worked_out.taken
)

select * exclude (counts_values)
from read
where
    strlen(data) <= 256
    or (
        len(list_filter(dimension_paths, lambda k: length(text_of(data, k.path)) > 256)) = 0
        and (not counts_values or coalesce(length(value), 0) <= 256)
        and coalesce(list_sum(list_transform(dimension_paths, lambda k:
            strlen(cast(to_json(k.name) as varchar)) + 2 + strlen(cast(to_json(text_of(data, k.path)) as varchar))
        )), 0) <= 1399
    );
"""
