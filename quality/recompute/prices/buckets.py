"""Hours and days of lines that are priced bucket by bucket, in SQL: every bucket of the service, also an empty one."""

from __future__ import annotations

NO_BUCKETS = """
create view bucket_values as
select
    line_id,
    term,
    null::bigint as bucket,
    null::hugeint as value,
    inner_prices[1].price as price,
    inner_prices[1].commitment as commitment,
    inner_prices[1].overage_factor as overage_factor,
    inner_prices[1].true_up as true_up
from billable
where false
"""
"""Instead of BUCKETS and BUCKET_VALUES where no charge is priced by them: neither then takes time to plan."""

# Clocks move by quarters of an hour: a bucket is the quarters that share a local hour (or day) and a distance from UTC.
BUCKETS = """
create table buckets as
with

quarters as (
    select
        line.line_id,
        own.term,
        line.timezone,
        line.service_from,
        line.service_to,
        term.every_bucket as every_bucket,
        unnest(generate_series(
            time_bucket(interval 15 minute, line.service_from), line.service_to - interval 1 microsecond,
            interval 15 minute
        )) as quarter
    from lines as line
    inner join line_terms as own on line.line_id = own.line_id
    inner join charges as term on own.term = term.term
    where term.model = 'bucketed'
),

placed as (
    select
        *,
        date_trunc(every_bucket, timezone(timezone, quarter)) as local_bucket,
        case when every_bucket = 'hour'
            then epoch(timezone(timezone, quarter)) - epoch(timezone('UTC', quarter)) else 0 end as distance
    from quarters
)

select
    line_id,
    term,
    local_bucket,
    distance,
    hour(local_bucket) * 60 + minute(local_bucket) as minute,
    greatest(min(quarter), any_value(service_from)) as begins,
    least(max(quarter) + interval 15 minute, any_value(service_to)) as ends,
    row_number() over (partition by line_id, term order by min(quarter)) as bucket
from placed
group by line_id, term, local_bucket, distance;

create view bucket_events as
select
    event.*,
    bucket.bucket,
    bucket.begins,
    bucket.ends,
    units(quantity_of(event.value)) as number
from part_events as event
inner join buckets as bucket
    on event.line_id = bucket.line_id and event.term = bucket.term and event.time >= bucket.begins
        and event.time < bucket.ends;

create table bucket_quantities as
select
    line_id,
    term,
    bucket,
    meter,
    case any_value(aggregation)
        when 'count' then units(count(*))
        when 'sum' then sum(number)
        when 'min' then min(number)
        when 'max' then max(number)
        when 'avg' then over(sum(number), units(count(number)))
        when 'weighted_sum' then over(
            sum(times(number, seconds_of(time, ends))), seconds_of(any_value(begins), any_value(ends))
        )
        else last(number order by time, received_at, id, source)
    end as quantity
from bucket_events
where aggregation = 'count' or (aggregation <> 'unique_count' and number is not null)
group by line_id, term, bucket, meter
union all by name
select line_id, term, bucket, meter, units(count(*) filter (where operation = 'add')) as quantity
from (
    select line_id, term, bucket, meter, value, last(operation order by time, received_at, id, source) as operation
    from bucket_events
    where aggregation = 'unique_count' and value is not null and operation in ('add', 'remove')
    group by line_id, term, bucket, meter, value
)
group by line_id, term, bucket, meter;
"""

# Included units go to the first buckets; each bucket has the terms of the first time of day that it begins in.
BUCKET_VALUES = """
create table bucket_values as
with

counted as (
    select
        bucket.line_id,
        bucket.term,
        bucket.bucket,
        line.inner_prices,
        bucket.minute,
        greatest(coalesce(units(line.included), 0::hugeint) - line.before, 0::hugeint) as included,
        priced_units(
            coalesce(case when meter.rounding is null then found.quantity
                else to_step(found.quantity, step_of(meter.places), meter.rounding) end, 0::hugeint),
            line.divide_by, line.multiply_by, line.convert_round
        ) as value
    from buckets as bucket
    inner join billable as line on bucket.line_id = line.line_id and bucket.term = line.term
    inner join meters as meter on line.terms_hash = meter.catalog_hash and line.meter = meter.meter
    left join bucket_quantities as found
        on bucket.line_id = found.line_id and bucket.term = found.term and bucket.bucket = found.bucket
),

running as (
    select *, cast(sum(value) over (partition by line_id, term order by bucket) as hugeint) as total
    from counted
)

select
    * exclude (inner_prices, value),
    case when included > 0
        then greatest(total - included, 0::hugeint) - greatest(total - value - included, 0::hugeint)
        else value end as value,
    terms.price as price,
    terms.commitment as commitment,
    terms.overage_factor as overage_factor,
    terms.true_up as true_up
from (
    select
        *,
        list_filter(inner_prices, lambda w: w.first is null or case
            when w.first < w.after then minute >= w.first and minute < w.after
            else minute >= w.first or minute < w.after
        end)[1] as terms
    from running
);
"""
