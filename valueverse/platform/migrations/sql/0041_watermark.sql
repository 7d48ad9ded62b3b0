-- A text that is another one once what is finalised of a customer, or approved of its proposals, is: answers are stored by it.
set local role valueverse_owner;
create function billing.prior_watermark(for_tenant text, of_customer text, known_at timestamptz, approved_by timestamptz)
returns text
language sql stable set search_path = pg_catalog, pg_temp as $$
    with mine as (select p.tenant, p.invoice_id, p.voided_at from billing.prior_invoices(for_tenant, of_customer, known_at) as p)
    select concat_ws('/',
        (select count(*) || '/' || count(m.voided_at) from mine as m),
        (select count(*) from mine as m
           join billing.unchanged_invoice as u on u.tenant_id = m.tenant and u.invoice_id = m.invoice_id::uuid),
        (select count(*) from mine as m
           join billing.rerating as r on r.tenant_id = m.tenant and r.invoice_id = m.invoice_id::uuid),
        (select md5(string_agg(p.proposal, ' ' order by p.proposal))
           from billing.prior_proposals(for_tenant, of_customer, known_at, approved_by) as p))
$$;
revoke execute on function billing.prior_watermark(text, text, timestamptz, timestamptz) from public;
grant execute on function billing.prior_watermark(text, text, timestamptz, timestamptz) to valueverse_builder, valueverse_reader;
reset role;

set local role valueverse_reader;
create function api.prior_watermark(for_tenant text, of_customer text, known_at timestamptz, approved_by timestamptz)
returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform set_config('valueverse.tenant', for_tenant, true);
    return billing.prior_watermark(for_tenant, of_customer, known_at, approved_by);
end $$;
revoke execute on function api.prior_watermark(text, text, timestamptz, timestamptz) from public;
grant execute on function api.prior_watermark(text, text, timestamptz, timestamptz) to valueverse_api;
reset role;
