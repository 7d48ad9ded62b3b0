set local role valueverse_reader;
drop function api.prior_lines(text, text, timestamptz, uuid[]);
drop function api.prior_proposals(text, text, timestamptz, timestamptz);
drop function api.prior_deductions(text, text, timestamptz);
drop function api.prior_recomputed(text, text, timestamptz);
drop function api.prior_reratings(text, text, timestamptz);
drop function api.prior_invoices(text, text, timestamptz);
reset role;

set local role valueverse_owner;
drop function billing.prior_lines(text, text, timestamptz, uuid[]);
drop function billing.prior_proposals(text, text, timestamptz, timestamptz);
drop function billing.prior_deductions(text, text, timestamptz);
drop function billing.prior_recomputed(text, text, timestamptz);
drop function billing.prior_reratings(text, text, timestamptz);
drop function billing.prior_invoices(text, text, timestamptz);
do $$
declare
    one regclass;
begin
    foreach one in array array['billing.invoice_credit', 'billing.invoice_discount', 'billing.rerating', 'value.proposal',
        'value.verdict']::regclass[]
    loop
        execute format('drop policy api_tenant on %s', one);
        execute format('drop policy api_reader on %s', one);
        execute format('revoke select on %s from valueverse_reader', one);
    end loop;
end $$;
revoke usage on schema value from valueverse_reader;
reset role;
