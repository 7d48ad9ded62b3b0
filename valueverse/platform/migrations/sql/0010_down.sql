set local role valueverse_owner;
alter table billing.invoice_credit drop constraint invoice_credit_amount_minor_check;
-- Not valid: what is finalised stays.
alter table billing.invoice_credit add constraint invoice_credit_amount_minor_check check (amount_minor > 0) not valid;
reset role;
