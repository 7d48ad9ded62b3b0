set local role valueverse_reader;
drop function api.invoice_history(text, text);
reset role;

set local role valueverse_owner;
do $$
declare
    one text;
begin
    foreach one in array array['credit_note', 'invoice_line', 'journal_entry', 'journal_posting']
    loop
        execute format('drop policy api_tenant on billing.%I', one);
        execute format('drop policy api_reader on billing.%I', one);
        execute format('revoke select on billing.%I from valueverse_reader', one);
    end loop;
end $$;
drop function billing.invoice_history(text, text);
alter table billing.subscription drop column has_overrides;
reset role;
