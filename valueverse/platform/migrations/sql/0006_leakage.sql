-- Usage that stopped or fell outside its customer's weekly pattern, by the day it was seen on.
set local role valueverse_owner;

create table billing.leakage_flag (
    tenant_id billing.tenant_key not null,
    customer text not null,
    meter text not null,
    day date not null,
    reason text not null check (reason in ('stopped', 'outside_pattern')),
    expected numeric(38, 18) not null,
    seen numeric(38, 18) not null,
    since date not null,
    primary key (tenant_id, day, customer, meter, reason)
);

-- Days without any usage of a meter, between its first and its last day with some.
create view billing.meter_gap with (security_invoker = true) as
    select tenant_id, meter, day + 1 as gap_from, following - 1 as gap_to, following - day - 1 as days
      from (select tenant_id, meter, day, lead(day) over (partition by tenant_id, meter order by day) as following
              from (select distinct tenant_id, meter, day from billing.usage_daily) as used) as pairs
     where following > day + 1;

reset role;
