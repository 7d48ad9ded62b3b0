-- A credit below zero: an earlier invoice was paid with what does not stand any more, and this one bears it.
set local role valueverse_owner;
alter table billing.invoice_credit drop constraint invoice_credit_amount_minor_check;
alter table billing.invoice_credit add constraint invoice_credit_amount_minor_check check (amount_minor <> 0);
reset role;
