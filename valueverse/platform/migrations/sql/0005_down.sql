set local role valueverse_reader;
drop function api.invoice_parties(text, text);
reset role;
set local role valueverse_owner;
alter table billing.tenant drop column address, drop column tax_id, drop column country;
drop table billing.rerating;
reset role;
