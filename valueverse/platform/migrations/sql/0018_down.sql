set local role valueverse_owner;
drop index billing.invoice_period;
reset role;
