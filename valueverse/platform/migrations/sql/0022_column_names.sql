-- Opaque names become the terms of their field; documents and marts keep theirs.
set local role valueverse_owner;
alter table billing.invoice rename column purpose to invoice_type;
alter table billing.invoice_line rename column corrects to corrected_invoice_id;
alter table billing.invoice_discount rename column place to position;
alter table billing.invoice_tax rename column place to position;
alter table billing.invoice_credit rename column place to position;
alter table billing.journal_posting rename column place to position;
alter table value.deed rename to commit_event;
alter table value.commit_event rename column did to action;
reset role;
