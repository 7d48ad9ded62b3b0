set local role valueverse_owner;
drop index billing.invoice_line_corrected;
reset role;
