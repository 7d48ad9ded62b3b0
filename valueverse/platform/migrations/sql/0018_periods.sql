-- The reconciliation looks for the other invoices of a period, once per line of a threshold.
set local role valueverse_owner;
create index invoice_period on billing.invoice (tenant_id, subscription, period_from);
reset role;
