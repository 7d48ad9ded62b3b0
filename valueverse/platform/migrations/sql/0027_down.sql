set local role valueverse_owner;
drop table billing.held_invoice_line;
reset role;
