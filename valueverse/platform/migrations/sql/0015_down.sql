set local role valueverse_owner;
drop table billing.accounted_month;
drop index billing.invoice_draft, billing.invoice_line_outcome;
reset role;
alter default privileges for role valueverse_owner in schema billing, value
    revoke maintain on tables from valueverse_builder;
revoke maintain on all tables in schema billing, value from valueverse_builder;
