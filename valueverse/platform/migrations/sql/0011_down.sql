set local role valueverse_owner;
-- Not valid: what is finalised stays.
alter table billing.invoice_discount add constraint invoice_discount_amount_minor_check check (amount_minor > 0) not valid;
reset role;
