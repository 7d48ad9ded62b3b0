set local role valueverse_owner;
drop table billing.credit_note, billing.invoice_tax, billing.invoice_discount, billing.invoice_credit;
alter table billing.invoice_line drop column corrects, drop column explains, drop column tax_minor, drop column discount_minor;
alter table billing.invoice drop constraint invoice_purpose_check;
alter table billing.invoice add constraint invoice_purpose_check check (purpose in ('start', 'period'));
drop index billing.one_invoice_per_period;
alter table billing.invoice add constraint invoice_tenant_id_subscription_period_from_period_to_purpos_key
    unique (tenant_id, subscription, period_from, period_to, purpose);
create unique index invoice_tenant_id_customer_period_from_period_to_purpose_idx
    on billing.invoice (tenant_id, customer, period_from, period_to, purpose) where subscription is null;
alter table billing.invoice drop column revision;
reset role;
