-- Few lines correct another invoice, and every copy of an invoice asks for those that correct it (billing.invoice_history).
set local role valueverse_owner;
create index invoice_line_corrected on billing.invoice_line (tenant_id, corrected_invoice_id)
    where corrected_invoice_id is not null;
reset role;
