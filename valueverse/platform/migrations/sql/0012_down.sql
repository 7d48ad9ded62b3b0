set local role valueverse_owner;
drop index billing.rerating_invoice;
drop index billing.invoice_line_corrects;
reset role;
