"""Which plan, overrides and quantities each subscription had when, in SQL, from what was stated of it (1697)."""

from __future__ import annotations

# A statement changes what runs, or waits for the end of the running period; what waits, waits part by part. The end is
# worked out where it is certain: not where time zones have changed, nor where clocks skip or repeat its midnight.
STRETCHES = """
-- whose statements count: of the subscription of each line and of the others of its customer, as its invoice knew them
create table asked as
with

named as (
    select tenant, subscription, known_at, timezone, anchor, moved
    from every_line
    union all
    select held.tenant, held.subscription, line.known_at, held.timezone, held.anchor, line.moved
    from (select distinct tenant, customer, known_at, moved from every_line) as line
    inner join holders as held on line.tenant = held.tenant and line.customer = held.customer
)

select
    tenant,
    subscription,
    known_at,
    any_value(timezone) as timezone,
    cast(any_value(anchor) as date) as anchor,
    bool_or(moved) as moved
from named
group by tenant, subscription, known_at;

create table known_statements as
select
    asked.*,
    stated.* exclude (tenant, subscription, received_at, known_until),
    row_number() over (
        partition by asked.tenant, asked.subscription, asked.known_at order by stated.starts desc, stated.place
    ) as step,
    count(*) over (partition by asked.tenant, asked.subscription, asked.known_at) > 1 as changed
from asked
inner join statements as stated
    on
        asked.tenant = stated.tenant
        and asked.subscription = stated.subscription
        and stated.received_at <= asked.known_at
        and (stated.known_until is null or stated.known_until > asked.known_at);

-- the periods of each plan that a statement may be about, as the newest catalog then has them
create table schedules as
select
    stated.tenant,
    stated.subscription,
    stated.place,
    plan.plan,
    last(
        {'every': plan.every, 'period': plan.period, 'align': plan.align} order by catalog.valid_from, plan.version
    ) as schedule
from statements as stated
inner join catalogs as catalog on stated.tenant = catalog.tenant and stated.stated_at >= catalog.valid_from
inner join plans as plan
    on
        catalog.catalog_hash = plan.catalog_hash
        and plan.overrides = ''
        and (stated.version is null or stated.version = plan.version)
where
    (stated.plan is not null or stated.version is not null)
    and (stated.tenant, stated.subscription) in (select (tenant, subscription) from statements where waits)
group by all;

create table folded as
with recursive folded as (
    select
        first.tenant,
        first.subscription,
        first.known_at,
        first.changed,
        first.step,
        first.stated_at as since,
        {'plan': first.plan, 'version': first.version, 'schedule': drawn.schedule} as terms,
        first.overrides,
        first.quantities,
        null::struct(plan varchar, version integer, schedule struct(every varchar, period varchar, align varchar))
            as later_terms,
        null::varchar as later_overrides,
        null::varchar as later_quantities,
        null::timestamptz as later_from,
        false as doubtful
    from known_statements as first
    left join schedules as drawn using (tenant, subscription, place, plan)
    where first.step = 1

    union all

    select
        tenant,
        subscription,
        known_at,
        changed,
        step,
        stated_at as since,
        case when waits then terms else coalesce(stated_terms, terms) end as terms,
        case when waits then overrides else coalesce(stated_overrides, overrides) end as overrides,
        case when waits then quantities else coalesce(stated_quantities, quantities) end as quantities,
        case
            when waits then coalesce(stated_terms, later_terms)
            when stated_terms is null or not concerned then later_terms
        end as next_terms,
        case
            when waits then coalesce(stated_overrides, later_overrides)
            when stated_overrides is null or not concerned then later_overrides
            -- of another version of the same plan, which waits
            when stated_terms is null and later_terms is not null then stated_overrides
        end as next_overrides,
        case
            when waits then coalesce(stated_quantities, later_quantities)
            when stated_quantities is null then later_quantities
        end as next_quantities,
        case
            when waits then coalesce(later_from, period_end)
            when next_terms is null and next_overrides is null and next_quantities is null then null
            -- a plan with other periods ends the running one
            when stated_terms.schedule <> running.schedule then stated_at
            else later_from
        end as next_from,
        doubtful or (waits and next_from is null) as doubtful
    from (
        select
            placed.*,
            terms as running,
            case when names then {'plan': about, 'version': stated_version, 'schedule': drawn.schedule} end
                as stated_terms,
            case when names then coalesce(own_overrides, '') else own_overrides end as stated_overrides,
            end_of_period(timezone, anchor, stated_at, terms.schedule) as period_end
        from (
            select
                *,
                stated_plan is not null or stated_version is not null as names,
                -- version and overrides are of their plan: stated without one, of the plan that is on
                stated_plan is not null or later_terms is null or later_terms.plan = terms.plan as concerned,
                coalesce(stated_plan, case when waits then later_terms.plan end, terms.plan) as about
            from (
                select
                    next.* exclude (plan, version, overrides, quantities, changed, moved, timezone),
                    next.plan as stated_plan,
                    next.version as stated_version,
                    next.overrides as own_overrides,
                    next.quantities as stated_quantities,
                    case when not next.moved then next.timezone end as timezone,
                    before.changed,
                    before.doubtful,
                    coalesce(before.later_from <= next.stated_at, false) as arrived,
                    case when arrived then coalesce(before.later_terms, before.terms) else before.terms end as terms,
                    case when arrived then coalesce(before.later_overrides, before.overrides) else before.overrides end
                        as overrides,
                    case when arrived then coalesce(before.later_quantities, before.quantities)
                        else before.quantities end as quantities,
                    case when not arrived then before.later_terms end as later_terms,
                    case when not arrived then before.later_overrides end as later_overrides,
                    case when not arrived then before.later_quantities end as later_quantities,
                    case when not arrived then before.later_from end as later_from
                from folded as before
                inner join known_statements as next
                    on
                        before.tenant = next.tenant
                        and before.subscription = next.subscription
                        and before.known_at = next.known_at
                        and before.step + 1 = next.step
            ) as arrived
        ) as placed
        left join schedules as drawn
            on
                placed.tenant = drawn.tenant
                and placed.subscription = drawn.subscription
                and placed.place = drawn.place
                and placed.about = drawn.plan
    ) as applied
)

select *, lead(since) over (partition by tenant, subscription, known_at order by step) as until
from folded;

-- doubtful: whether what waits had taken effect is not certain
create table stretches as
with

turns as (
    select *, least(until, later_from) as ends, since as begins, terms as held, overrides as held_overrides,
        quantities as held_quantities
    from folded
    union all
    select *, until, coalesce(later_from, since), coalesce(later_terms, terms), coalesce(later_overrides, overrides),
        coalesce(later_quantities, quantities)
    from folded
    where later_from < coalesce(until, 'infinity'::timestamptz)
        or (later_from is null and coalesce(later_terms.plan, later_overrides, later_quantities) is not null)
)

select
    tenant,
    subscription,
    known_at,
    begins as valid_from,
    coalesce(ends, 'infinity'::timestamptz) as valid_to,
    held.plan as plan,
    held.version as version,
    held_overrides as overrides,
    held_quantities as quantities,
    changed,
    doubtful
from turns;

create table line_states as
select line.*, state.plan, state.version, state.overrides, state.quantities, state.changed
from every_line as line
inner join stretches as state
    on
        line.tenant = state.tenant
        and line.subscription = state.subscription
        and line.known_at = state.known_at
        -- what is given back of a fee was charged by the terms before
        and case when line.given_back then state.valid_from < line.service_from and line.service_from <= state.valid_to
            else state.valid_from <= line.service_from and line.service_from < state.valid_to end
where not state.doubtful;
"""
