set local role valueverse_owner;
drop index billing.invoice_line_proposal;
create index invoice_line_outcome on billing.invoice_line (tenant_id, (substring(explains from ', proposal (.+)$')))
    where kind = 'outcome';
alter table billing.invoice_line drop constraint proposal_of_an_outcome;
alter table billing.invoice_line drop column proposal, drop column is_difference;
reset role;
