-- Without these, each invoice that is read or deleted costs a scan of a table that grows with the invoices.
set local role valueverse_owner;
create index invoice_line_corrects on billing.invoice_line (tenant_id, corrects) where corrects is not null;
create index rerating_invoice on billing.rerating (tenant_id, invoice_id);
reset role;
