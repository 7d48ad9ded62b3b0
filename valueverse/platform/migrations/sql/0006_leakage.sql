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

reset role;
