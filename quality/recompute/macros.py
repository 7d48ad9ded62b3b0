"""Arithmetic on integers of 10^-18 for DuckDB, which divides decimals as doubles; instants, days and texts.

Products and quotients round half to even at 18 decimals, as the engine's decimals do (docs/decisions/0508).
"""

from __future__ import annotations

# A macro pastes its arguments wherever they stand, so nested ones would grow without bound: each takes its
# arguments once, into a struct, and works on that.
MACROS = """
-- a quantity as the billing rules take it: a JSON number below 10^12 with at most 18 decimals
create macro quantity_of(value) as case
    when (
        regexp_full_match(value, '-?[0-9]{1,15}([.][0-9]{1,18}0*)?')
        or (
            regexp_full_match(value, '-?[0-9]+([.][0-9]+)?[eE][+-]?[0-9]{1,3}')
            and strlen(regexp_extract(value, '[.]([0-9]*?)0*[eE]', 1))
                - cast(regexp_extract(value, '[eE]([+-]?[0-9]+)$', 1) as integer) <= 18
        )
    ) and abs(try_cast(value as decimal(38, 18))) < 1000000000000
        then try_cast(value as decimal(38, 18))
end;

-- a value of an event's data as text: in JSON 1.0 and 1 are one number
create macro text_of(data, path) as case
    when json_extract_string(data, path) like '%.0' and json_type(data, path) = 'DOUBLE'
        then regexp_replace(json_extract_string(data, path), '^(-?[0-9]+)[.]0+$', '\\1')
    else json_extract_string(data, path)
end;

create macro units(number) as cast(replace(cast(cast(number as decimal(38, 18)) as varchar), '.', '')
    as hugeint);

-- units from 0 on as a decimal number in text
create macro number_text(number) as cast(number // 1000000000000000000 as varchar) || '.'
    || lpad(cast(number % 1000000000000000000 as varchar), 18, '0');

-- a whole number of units and a rest over a divisor, rounded half to even as Polars rounds its decimals
create macro nearest(whole, rest, divisor) as whole + case
    when 2 * rest > divisor or (2 * rest = divisor and whole % 2 = 1) then 1 else 0
end;

create macro times(a, b) as list_transform(
    list_transform(
        list_transform([{'a': cast(a as hugeint), 'b': cast(b as hugeint)}], lambda p: {
            'sign': cast(sign(p.a) * sign(p.b) as hugeint),
            'ah': abs(p.a) // 1000000000, 'al': abs(p.a) % 1000000000,
            'bh': abs(p.b) // 1000000000, 'bl': abs(p.b) % 1000000000
        }),
        lambda h: {
            'sign': h.sign,
            'high': h.ah * h.bh + (h.ah * h.bl + h.al * h.bh) // 1000000000,
            'low': ((h.ah * h.bl + h.al * h.bh) % 1000000000) * 1000000000 + h.al * h.bl
        }
    ),
    lambda r: r.sign * nearest(
        r.high + r.low // 1000000000000000000, r.low % 1000000000000000000, 1000000000000000000::hugeint
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
    lambda d: d.sign * nearest(d.part * 1000000000 + d.rest // d.b, d.rest % d.b, d.b)
)[1];

-- rounded to a step of 10^-18 x step: to whole units, cents, or thousands
create macro to_step(number, step, way) as list_transform(
    [{'a': cast(number as hugeint), 'way': way, 'one': cast(step as hugeint)}],
    lambda r: case
        when r.way = 'up' and r.a > 0 then ((r.a + r.one - 1) // r.one) * r.one
        when r.way = 'half_up' then cast(sign(r.a) as hugeint) * ((abs(r.a) + r.one // 2) // r.one) * r.one
        when r.way = 'half_even' and abs(r.a) % r.one = r.one // 2 and r.one > 1
            then cast(sign(r.a) as hugeint) * ((abs(r.a) // r.one + 1) // 2) * 2 * r.one
        when r.way = 'half_even' then cast(sign(r.a) as hugeint) * ((abs(r.a) + r.one // 2) // r.one) * r.one
        when r.way = 'down' and r.a < 0 then -((-r.a + r.one - 1) // r.one) * r.one
        when r.way in ('up', 'down') then (r.a // r.one) * r.one
        else r.a
    end
)[1];

create macro to_whole(number, way) as to_step(number, 1000000000000000000::hugeint, way);

-- the step of so many decimals; of tens, hundreds, ... where they are below 0
create macro step_of(places) as cast(rpad('1', 19 - cast(places as integer), '0') as hugeint);

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

-- seconds between two instants
create macro seconds_of(first, after) as cast(epoch_us(after) - epoch_us(first) as hugeint) * 1000000000000::hugeint;

-- the instant at which a local day begins; null where the clocks of the zone make it doubtful
create macro midnight_of(zone, day) as list_transform(
    [{'zone': zone, 'local': cast(day as timestamp), 'at': timezone(zone, cast(day as timestamp))}],
    lambda r: case
        when timezone(r.zone, r.at) = r.local and timezone(r.zone, r.at - interval 1 hour) < r.local
            and timezone(r.zone, r.at + interval 1 hour) > r.local
            then r.at
    end
)[1];

-- the local date on which the period begins that is counted in months from a phase
create macro month_boundary(place, day) as list_transform(
    [{'month': make_date(cast(place as bigint) // 12, cast(place as bigint) % 12 + 1, 1), 'day': cast(day as integer)}],
    lambda r: least(r.month + (r.day - 1), last_day(r.month))
)[1];

-- the local dates [first, after) of the whole period that a day lies in
create macro full_period(day, anchor, every, period, aligned) as list_transform(
    list_transform(
        list_transform(
            [{
                'day': cast(day as date), 'anchor': cast(anchor as date), 'aligned': aligned, 'period': period,
                'days': case period when 'week' then 7 when 'day' then 1 end * cast(every as bigint),
                'months': case period when 'year' then 12 when 'quarter' then 3 when 'month' then 1 end,
                'every': cast(every as bigint)
            }],
            lambda p: {
                'day': p.day, 'days': p.days, 'step': p.months * p.every,
                'boundary_day': case when p.aligned then 1 else day(p.anchor) end,
                'place': year(p.day) * 12 + month(p.day) - 1,
                'phase': year(p.anchor) * 12 + month(p.anchor) - 1
                    - case when p.aligned then (year(p.anchor) * 12 + month(p.anchor) - 1) % p.months else 0 end,
                'day_phase': case when p.aligned and p.period = 'week' then cast(date_trunc('week', p.anchor) as date)
                    else p.anchor end
            }
        ),
        lambda p: struct_insert(p, number := case
            when p.days is not null then cast(floor(date_diff('day', p.day_phase, p.day) / p.days) as bigint)
            else cast(floor((p.place - p.phase) / p.step) as bigint) - case
                when month_boundary(p.phase + cast(floor((p.place - p.phase) / p.step) as bigint) * p.step,
                    p.boundary_day) > p.day then 1 else 0 end
        end)
    ),
    lambda p: {
        'first': case when p.days is null then month_boundary(p.phase + p.number * p.step, p.boundary_day)
            else p.day_phase + cast(p.number * p.days as integer) end,
        'after': case when p.days is null then month_boundary(p.phase + (p.number + 1) * p.step, p.boundary_day)
            else p.day_phase + cast((p.number + 1) * p.days as integer) end
    }
)[1];

-- the instant at which the period ends that runs at an instant; null where the clocks of the zone make it doubtful
create macro end_of_period(zone, anchor, moment, schedule) as list_transform(
    list_transform(
        [{'zone': zone, 'anchor': anchor, 'moment': moment, 'schedule': schedule}],
        lambda p: {'zone': p.zone, 'moment': p.moment, 'days': full_period(timezone(p.zone, p.moment), p.anchor,
            p.schedule.every, p.schedule.period, p.schedule.align = 'calendar')}
    ),
    lambda p: case when midnight_of(p.zone, p.days.first) <= p.moment then midnight_of(p.zone, p.days.after) end
)[1];

create macro paid_units(number, free) as greatest(number - coalesce(units(free), 0::hugeint), 0::hugeint);
"""
