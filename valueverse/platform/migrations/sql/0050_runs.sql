-- Runs of commits and fee proposals over HTTP, by functions as those of 0049.
set local role valueverse_owner;
do $$
declare
    one regclass;
begin
    foreach one in array array['value.run', 'value.result']::regclass[]
    loop
        execute format('grant select on %s to valueverse_reader', one);
        execute format('create policy api_reader on %s to valueverse_reader using (true)', one);
        execute format('create policy api_tenant on %s as restrictive to valueverse_reader '
            'using (tenant_id = (select current_setting(''valueverse.tenant'', true)))', one);
    end loop;
end $$;
grant insert on value.run, value.result, value.proposal, value.verdict to valueverse_reader;

create or replace function audit.on_verdict() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    insert into audit.submitted (tenant_id, entry)
    select n.tenant_id,
           audit.entry_text(n.tenant_id, 'fee.' || n.verdict, n.proposal,
                            encode(sha256(convert_to(coalesce(n.reason, ''), 'UTF8')), 'hex'),
                            coalesce(nullif(current_setting('valueverse.actor', true), ''),
                                     audit.pseudonym(n.tenant_id, n.said_by)))
      from new_rows as n order by n.tenant_id, n.proposal, n.verdict;
    return null;
end $$;

-- Lines of invoices finalised, and not voided, by an instant (null: now); days are those of the subscription's time zone.
create function value.effective_lines(of_tenants text[], until timestamptz)
returns table (
    tenant text, invoice text, sequence bigint, line_no integer, customer text, key text, kind text, currency text,
    service_from date, service_to date, amount_minor bigint
)
language sql stable set search_path = pg_catalog, pg_temp as $$
    select l.tenant_id::text, i.number, i.sequence, l.line_no, i.customer, l.key, l.kind, l.currency::text,
           (l.service_from at time zone z.zone)::date, (l.service_to at time zone z.zone)::date,
           (l.amount_minor - l.discount_minor)::bigint
      from billing.invoice_line as l
      join billing.invoice as i on i.tenant_id = l.tenant_id and i.invoice_id = l.invoice_id
      join billing.tenant as t on t.tenant_id = l.tenant_id
      left join billing.subscription as s on s.tenant_id = i.tenant_id and s.subscription = i.subscription
     cross join lateral (select coalesce(s.timezone, t.timezone) as zone) as z
     where l.tenant_id = any(of_tenants) and i.status = 'finalised' and (until is null or i.finalised_at <= until)
       and not exists (select from billing.invoice_void as v
                        where v.tenant_id = i.tenant_id and v.invoice_id = i.invoice_id and (until is null or v.voided_at <= until))
     order by l.tenant_id, i.sequence, l.line_no
$$;
-- Lines that serve a metric of a customer and month: those that are effective by an instant, in one currency (null: any).
create function value.metric_lines(
    for_tenant text, of_metric text, of_customer text, of_currency text, of_month date, until timestamptz
)
returns table (
    invoice text, key text, kind text, service_from date, service_to date, amount_minor bigint, currency text
)
language plpgsql set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
    return query
        select l.invoice, l.key, l.kind, l.service_from, l.service_to, l.amount_minor, l.currency
          from value.effective_lines(array[for_tenant], until) as l
         where l.customer = of_customer and (of_currency is null or l.currency = of_currency)
           and case of_metric
               when 'billing.mrr' then l.kind = 'fee' and l.service_from < of_month + interval '1 month'
                                       and greatest(l.service_to, l.service_from + 1) > of_month
               else (l.kind = 'outcome') = (of_metric = 'billing.outcome_fees')
                    and date_trunc('month', l.service_from)::date = of_month
               end
         order by l.sequence, l.line_no;
end $$;

-- Months that metrics of the tenant are recorded of.
create function value.measured_months(for_tenant text)
returns table (month date)
language plpgsql set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
    return query select distinct m.month from value.metric as m where m.tenant_id = for_tenant order by m.month;
end $$;

-- The newest run of each case of a commit in a month (null: the last one measured); its document where asked for.
create function value.newest_runs(for_tenant text, of_commit text, of_month date, with_documents boolean)
returns table (
    commit_id text, case_name text, month date, run_hash text, content_hash text, document text, known_at timestamptz,
    computed_at timestamptz
)
language plpgsql set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
    return query
        select distinct on (r.case_name) r.commit_id, r.case_name, r.month, r.run_hash, r.content_hash,
               case when with_documents then r.document end, r.known_at, r.computed_at
          from value.run as r
         where r.tenant_id = for_tenant and r.commit_id = of_commit
           and r.month = coalesce(of_month, (select max(n.month) from value.run as n
                                              where n.tenant_id = for_tenant and n.commit_id = of_commit))
         order by r.case_name, r.computed_at desc, r.known_at desc, r.written desc;
end $$;

create function value.run(for_tenant text, with_hash text)
returns table (
    commit_id text, case_name text, month date, run_hash text, content_hash text, document text, known_at timestamptz,
    computed_at timestamptz
)
language plpgsql set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
    return query
        select r.commit_id, r.case_name, r.month, r.run_hash, r.content_hash, r.document, r.known_at, r.computed_at
          from value.run as r where r.tenant_id = for_tenant and r.run_hash = with_hash;
end $$;

create function value.run_results(for_tenant text, with_hash text)
returns table (name text, value text, unit text)
language plpgsql set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
    return query
        select x.name, trim_scale(x.value)::text, x.unit from value.result as x
         where x.tenant_id = for_tenant and x.run_hash = with_hash order by x.name;
end $$;

-- A run with its results (names, values as text, units). Who asks for it over HTTP is in the audit log; the pipeline's is in Dagster's.
create function value.add_run(
    for_tenant text, new_hash text, of_commit text, of_case text, of_month date, known timestamptz, with_content text,
    with_document text, with_run text, at timestamptz, names text[], amounts text[], units text[], with_actor text, with_request text
) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    perform set_config('valueverse.request', with_request, true);
    insert into value.run (tenant_id, run_hash, commit_id, case_name, month, known_at, content_hash, document, run_id, computed_at)
    values (for_tenant, new_hash, of_commit, of_case, of_month, known, with_content, with_document, with_run, at);
    insert into value.result (tenant_id, run_hash, name, value, unit)
    select for_tenant, new_hash, r.name, r.amount::numeric, r.unit from unnest(names, amounts, units) as r (name, amount, unit);
    if with_actor is not null then
        perform audit.submit(for_tenant, 'run.added', new_hash, with_content, with_actor);
    end if;
end $$;

create function value.add_proposal(
    for_tenant text, new_proposal text, of_commit text, of_run text, of_model text, of_customer text, of_subscription text,
    of_charge text, beginning timestamptz, ending timestamptz, realised numeric, fee numeric, bound_by text, with_amount numeric,
    in_currency text, at timestamptz, until timestamptz, with_request text
) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    perform set_config('valueverse.request', with_request, true);
    insert into value.proposal (tenant_id, proposal, commit_id, run_hash, model, customer, subscription, charge, period_from,
                                period_to, realised_value, fee_to_date, binding, amount, currency, proposed_at, disputable_until)
    values (for_tenant, new_proposal, of_commit, of_run, of_model, of_customer, of_subscription, of_charge, beginning, ending,
            realised, fee, bound_by, with_amount, in_currency, at, until);
end $$;

create function value.proposal_verdicts(for_tenant text, of_proposal text)
returns table (verdict text)
language plpgsql set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
    return query
        select v.verdict from value.verdict as v where v.tenant_id = for_tenant and v.proposal = of_proposal
         order by v.said_at, v.verdict desc;
end $$;

-- A trigger submits the entry of the audit log.
create function value.add_verdict(
    for_tenant text, of_proposal text, with_verdict text, by text, with_reason text, at timestamptz, with_actor text,
    with_request text
) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    perform set_config('valueverse.request', with_request, true),
            set_config('valueverse.actor', with_actor, true);
    insert into value.verdict (tenant_id, proposal, verdict, said_by, reason, said_at)
    values (for_tenant, of_proposal, with_verdict, by, with_reason, at);
end $$;

do $$
declare
    one regprocedure;
begin
    for one in select p.oid from pg_proc as p where p.pronamespace = 'value'::regnamespace
           and p.proname in ('add_proposal', 'add_run', 'add_verdict', 'effective_lines', 'measured_months', 'metric_lines',
                             'newest_runs', 'proposal_verdicts', 'run', 'run_results') loop
        execute format('revoke execute on function %s from public', one);
        execute format('grant execute on function %s to valueverse_builder, valueverse_reader', one);
    end loop;
end $$;
reset role;

set local role valueverse_reader;
do $$
declare
    one record;
begin
    for one in
        select p.proname, pg_get_function_arguments(p.oid) as arguments, pg_get_function_result(p.oid) as result,
               case when p.proretset then 'return query select * from' when p.prorettype = 'void'::regtype then 'perform'
                    else 'return' end as verb,
               array_to_string(p.proargnames[1:p.pronargs], ', ') as names
          from pg_proc as p
         where p.pronamespace = 'value'::regnamespace and p.proargnames[1] = 'for_tenant'
           and p.proname in ('add_proposal', 'add_run', 'add_verdict', 'effective_lines', 'measured_months', 'metric_lines',
                             'newest_runs', 'proposal_verdicts', 'run', 'run_results')
         order by p.proname
    loop
        execute format(
            'create function api.%I(%s) returns %s language plpgsql security definer '
            'set search_path = pg_catalog, pg_temp as $f$begin perform set_config(''valueverse.tenant'', for_tenant, true); '
            '%s value.%I(%s); end$f$',
            one.proname, one.arguments, one.result, one.verb, one.proname, one.names);
        execute format('revoke execute on function api.%I from public', one.proname);
        execute format('grant execute on function api.%I to valueverse_api', one.proname);
    end loop;
end $$;
reset role;
