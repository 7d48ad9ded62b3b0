"""Which terms each billed line was priced by: the state of its subscription when its service began."""

from __future__ import annotations

# Instants come as text. Of a subscription that was changed, a line may be on a plan of another catalog than that which
# its invoice names.
EVERY_LINE = """
create table every_line as
select
    booked.* replace (
        booked.service_from::timestamptz as service_from,
        booked.service_to::timestamptz as service_to,
        booked.known_at::timestamptz as known_at,
        booked.early = 'true' as early,
        booked.so_far = 'true' as so_far
    ),
    currency.places,
    booked.kind = 'fee' and (
        units(booked.booked_amount) < 0
        -- what is given back of a fee of nothing stands beside the fee that takes its place
        or (units(booked.booked_amount) = 0 and bool_or(units(booked.booked_amount) > 0) over (
            partition by
                booked.tenant, booked.invoice_id, booked.kind, booked.charge, booked.service_from, booked.service_to
        ))
    ) as given_back,
    (booked.tenant, booked.customer) in (select (tenant, customer) from moved where customer is not null)
        or booked.tenant in (select tenant from moved where customer is null) as moved,
    false as absent
from booked_lines as booked
left join currencies as currency on booked.currency = currency.currency;

create view holders as
select held.* replace (held.started_at::timestamptz as started_at, held.ended_at::timestamptz as ended_at)
from subscriptions as held;

create view catalogs as
select published.* replace (published.valid_from::timestamptz as valid_from, published.valid_to::timestamptz
    as valid_to)
from published_catalogs as published;
"""

LINES = """
-- Amounts of threshold invoices are taken off by key: of a changed subscription, off which of its lines is left open.
create view lines as
select * from every_line
where kind = 'usage' and (not so_far or (tenant, subscription) not in (
    select (tenant, subscription) from statements group by tenant, subscription having count(*) > 1
));

create table line_terms as
select distinct stated.line_id, term.term
from line_states as stated
inner join charges as term
    on
        stated.charge = term.charge
        and stated.meter is not distinct from term.meter
        and stated.plan = term.plan
        and (stated.version = term.version or (stated.version is null and (term.newest or stated.changed)))
        and stated.overrides = term.overrides
where
    stated.kind = 'usage'
    and (
        term.catalog_hash = stated.catalog_hash
        or (
            stated.changed
            and (stated.tenant, term.catalog_hash) in (select (tenant, catalog_hash) from published_catalogs)
        )
    );

create table fee_terms as
select distinct stated.line_id, fee.fee as term, stated.quantities
from line_states as stated
inner join fees as fee
    on
        stated.charge = fee.key
        and stated.plan = fee.plan
        and (stated.version = fee.version or (stated.version is null and (fee.newest or stated.changed)))
        and stated.overrides = fee.overrides
where
    stated.kind = 'fee'
    and (
        fee.catalog_hash = stated.catalog_hash
        or (
            stated.changed
            and (stated.tenant, fee.catalog_hash) in (select (tenant, catalog_hash) from published_catalogs)
        )
    );

create table plan_terms as
select distinct stated.line_id, plan.place as term, stated.quantities
from line_states as stated
inner join plans as plan
    on
        stated.catalog_hash = plan.catalog_hash
        and stated.plan = plan.plan
        and (stated.version = plan.version or (stated.version is null and plan.newest))
        and stated.overrides = plan.overrides
where stated.kind = 'minimum' and not stated.changed;
"""
