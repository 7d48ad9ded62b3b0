"""Which events each line was billed for: those that its charge takes, of its own subscription or of nobody else's."""

from __future__ import annotations

# One row per line, terms that may have priced it (several only where the subscription has changed) and event.
# ``part``: the line, a cell of its matrix, or a meter of its capacity.
TAKEN = """
create table taken_events as
with

-- apart and first: joined to the events of a customer before the meter is known, each of them is read for every meter
line_meters as materialized (
    select
        line.line_id,
        line.tenant,
        line.customer,
        line.subscription,
        line.known_at,
        line.service_from,
        line.service_to,
        line.dimensions,
        term.*,
        rule.meter,
        rule.aggregation,
        rule.rounding,
        rule.carry_over
    from lines as line
    inner join line_terms using (line_id)
    inner join (
        select
            term, model, axes, by_days, carried, conditions, splits, catalog_hash, unnest(takes) as take
        from charges
    ) as term on line_terms.term = term.term
    inner join meters as rule
        on term.catalog_hash = rule.catalog_hash and term.take.meter = rule.meter and rule.not_metered is null
)

select
    line.line_id,
    line.term,
    case
        when line.model = 'capacity' then 'meter ' || line.meter
        when line.model = 'matrix' then 'cell ' || list_aggregate(list_transform(
            line.axes, lambda a: coalesce('=' || text_of(event.data, a.path), '-')
        ), 'string_agg', '/')
        else 'line'
    end as part,
    line.tenant,
    line.customer,
    line.subscription,
    line.known_at,
    line.meter,
    line.aggregation,
    event.subscription is null as unnamed,
    event.time < line.service_from as before,
    event.time,
    event.received_at,
    event.source,
    event.id,
    event.value,
    event.operation,
    -- a meter gives a quantity for each combination of its dimensions, and days are counted for each
    case
        when line.by_days and line.aggregation = 'sum' and line.rounding is null and not line.carry_over
            then cast(to_json(list_transform(event.dimension_paths, lambda k: text_of(event.data, k.path))) as varchar)
    end as kind,
    json_extract_string(event.data, line.carried) as carried
from line_meters as line
inner join readings as event
    on
        line.tenant = event.tenant
        and line.customer = event.customer
        and line.meter = event.meter
        and (event.time >= line.service_from or line.carry_over)
        and event.time < line.service_to
        and event.known_from <= line.known_at
        and event.known_until > line.known_at
where
    (event.subscription is null or event.subscription = line.subscription)
    and len(list_filter(
        line.conditions, lambda c: text_of(event.data, c.path) is distinct from c.value
    )) = 0
    and len(list_filter(line.take.rivals, lambda rival: len(list_filter(
        rival, lambda c: text_of(event.data, c.path) is distinct from c.value
    )) = 0)) = 0
    and len(list_filter(
        line.splits,
        lambda s: text_of(event.data, s.path) is distinct from json_extract_string(line.dimensions, s.label)
    )) = 0;
"""

# Usage that names a customer and no subscription belongs to the one that charges for its meter when it happens; where
# two do, to nobody. The states of the other subscriptions of the customer, as known by then, decide. A trial ends, and
# a change may wait, for instants that are not worked out here: such lines are left open.
RIVALS = """
create table rival_meters as
select distinct
    held.tenant,
    held.customer,
    held.subscription,
    state.plan,
    state.version,
    state.overrides,
    unnest(list_transform(term.takes, lambda t: t.meter)) as meter,
    cast(max(term.trial) over (partition by held.tenant, held.subscription) as integer) as trial
from subscriptions as held
inner join (select distinct tenant, subscription, plan, version, overrides from stretches) as state
    on held.tenant = state.tenant and held.subscription = state.subscription
inner join charges as term
    on state.plan = term.plan and state.overrides = term.overrides
        and (state.version is null or state.version = term.version)
where (state.tenant, term.catalog_hash) in (select (tenant, catalog_hash) from published_catalogs);

create table contested as
select distinct
    event.tenant, event.customer, event.subscription, event.meter, event.time, event.known_at, other.subscription as
        rival
from taken_events as event
inner join (select distinct tenant, customer, subscription, meter from rival_meters) as other
    on
        event.tenant = other.tenant
        and event.customer = other.customer
        and event.meter = other.meter
        and event.subscription <> other.subscription
where event.unnamed;

create table rival_claims as
with

stated as (
    select
        event.*,
        moment.kind,
        moment.stated_at,
        row_number() over (
            partition by event.tenant, event.customer, event.subscription, event.meter, event.time, event.known_at,
                event.rival, moment.kind in ('paused', 'resumed')
            order by moment.stated_at desc, moment.received_at desc
        ) as place
    from contested as event
    inner join moments as moment
        on
            event.tenant = moment.tenant
            and event.rival = moment.subscription
            and moment.stated_at <= event.time
            and moment.received_at <= event.known_at
            and (moment.known_until is null or moment.known_until > event.known_at)
),

lives as (
    select
        tenant, customer, subscription, meter, time, known_at, rival,
        bool_or(kind = 'started') and not bool_or(kind = 'ended')
            and not coalesce(bool_or(kind = 'paused' and place = 1), false) as runs,
        min(stated_at) filter (where kind = 'started') as started_at
    from stated
    group by all
),

rival_states as (
    select
        life.*,
        planned.ended_at is not null and planned.ended_at <= life.time as over,
        state.plan,
        state.version,
        state.overrides,
        state.doubtful
    from lives as life
    inner join holders as planned on life.tenant = planned.tenant and life.rival = planned.subscription
    inner join stretches as state
        on
            life.tenant = state.tenant
            and life.rival = state.subscription
            and life.known_at = state.known_at
            and life.time >= state.valid_from
            and life.time < state.valid_to
    where life.runs
)

select
    now.tenant, now.customer, now.subscription, now.meter, now.time, now.known_at,
    bool_or(
        claimed.meter is not null and not now.over
        and (claimed.trial = 0 or now.time >= now.started_at + to_days(claimed.trial + 2))
    ) as claims,
    -- a trial ends with a local day: two days more are more than enough
    bool_or(now.doubtful or (claimed.trial > 0 and now.time < now.started_at + to_days(claimed.trial + 2))) as open
from rival_states as now
left join rival_meters as claimed
    on
        now.tenant = claimed.tenant
        and now.rival = claimed.subscription
        and now.meter = claimed.meter
        and now.plan = claimed.plan
        and now.version is not distinct from claimed.version
        and now.overrides = claimed.overrides
group by all;

create table part_events as
select event.*
from taken_events as event
left join rival_claims as rival
    on
        event.unnamed
        and event.tenant = rival.tenant
        and event.customer = rival.customer
        and event.subscription = rival.subscription
        and event.meter = rival.meter
        and event.time = rival.time
        and event.known_at = rival.known_at
where not coalesce(rival.claims, false);

create table open_lines as
select
    event.line_id,
    event.term,
    'usage of a customer with several subscriptions, one of them in a trial, waiting for a change or carrying over'
        as reason
from taken_events as event
inner join contested as other
    on
        event.unnamed
        and event.tenant = other.tenant
        and event.customer = other.customer
        and event.subscription = other.subscription
        and event.meter = other.meter
        and event.time = other.time
        and event.known_at = other.known_at
left join rival_claims as rival
    on
        other.tenant = rival.tenant
        and other.customer = rival.customer
        and other.subscription = rival.subscription
        and other.meter = rival.meter
        and other.time = rival.time
        and other.known_at = rival.known_at
where event.before or rival.open
group by all;
"""
