-- What a line bills and what it is were texts for people that queries took apart; a reworded text would have lost them.
set local role valueverse_owner;
alter table billing.invoice_line add column proposal text;
alter table billing.invoice_line add column is_difference boolean not null default false;
reset role;

-- Lines of finalised invoices get the columns too: nothing that their documents, sums or hashes hold is touched.
-- Not as the owner, whom row-level security shows no rows.
alter table billing.invoice_line disable trigger finalised_update_from, disable trigger finalised_update_to;
update billing.invoice_line set proposal = substring(explains from ', proposal (.+)$') where kind = 'outcome';
update billing.invoice_line as line
    set is_difference = true
    from billing.invoice as invoice
    where line.tenant_id = invoice.tenant_id and line.invoice_id = invoice.invoice_id
        and invoice.purpose in ('threshold', 'period') and line.kind in ('usage', 'minimum')
        and line.corrects is null and line.explains is not null;
alter table billing.invoice_line
    enable always trigger finalised_update_from, enable always trigger finalised_update_to;

set local role valueverse_owner;
alter table billing.invoice_line add constraint proposal_of_an_outcome check (proposal is null or kind = 'outcome');
drop index billing.invoice_line_outcome;
create index invoice_line_proposal on billing.invoice_line (tenant_id, proposal) where proposal is not null;
reset role;
