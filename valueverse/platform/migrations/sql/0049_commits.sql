-- Commits of value models over HTTP. The builder, for the command line, calls the functions of schema value, the API those of schema
-- api, which call the same. What is decided on commits is the services' (valueverse.services.value.commits).
set local role valueverse_owner;
do $$
declare
    one regclass;
begin
    foreach one in array array['value.approval', 'value.closing', 'value.commit_event', 'value.metric',
        'billing.unbilled_usage']::regclass[]
    loop
        execute format('grant select on %s to valueverse_reader', one);
        execute format('create policy api_reader on %s to valueverse_reader using (true)', one);
        execute format('create policy api_tenant on %s as restrictive to valueverse_reader '
            'using (tenant_id = (select current_setting(''valueverse.tenant'', true)))', one);
    end loop;
end $$;
grant insert on value.commit, value.approval, value.closing, value.commit_event to valueverse_reader;

-- Commits that both sides have approved, replaced and closed ones too, oldest first.
create function value.agreed_of(of_tenants text[])
returns table (tenant text, commit_id text, parent text, document text, closed boolean)
language sql stable set search_path = pg_catalog, pg_temp as $$
    select c.tenant_id::text, c.commit_id, c.parent, c.document,
           exists (select from value.closing as x where x.tenant_id = c.tenant_id and x.commit_id = c.commit_id)
      from value.commit as c
     where c.tenant_id = any(of_tenants)
       and (select count(distinct a.side) from value.approval as a
             where a.tenant_id = c.tenant_id and a.commit_id = c.commit_id) = 2
     order by c.tenant_id, c.sequence
$$;

-- Who acts over HTTP is an API key, which the audit log names; other names are of people, and pseudonyms there.
create or replace function audit.on_commit_event() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    insert into audit.submitted (tenant_id, entry)
    select n.tenant_id,
           audit.entry_text(n.tenant_id, 'commit.' || n.action, n.commit_id,
                            encode(sha256(convert_to(n.document, 'UTF8')), 'hex'),
                            coalesce(nullif(current_setting('valueverse.actor', true), ''),
                                     audit.pseudonym(n.tenant_id, coalesce(n.document::json ->> 'by', ''))))
      from new_rows as n order by n.tenant_id, n.sequence;
    return null;
end $$;

-- One run at a time proposes fees of a tenant, until the transaction ends: two would propose the same difference.
create function value.lock_tenants(of_tenants text[]) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    one text;
begin
    -- In one order, so that no two wait for each other.
    for one in select t.name from unnest(of_tenants) as t (name) order by t.name collate "C" loop
        perform pg_advisory_xact_lock(hashtextextended(concat_ws(' ', 'value', one), 0));
    end loop;
end $$;

-- Whether there is the tenant; with_lock: nobody else writes to its commits until the transaction ends.
create function value.tenant_known(for_tenant text, with_lock boolean) returns boolean
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    if with_lock then
        perform pg_advisory_xact_lock(hashtextextended(concat_ws(' ', 'commits', for_tenant), 0));
    end if;
    return exists (select from billing.tenant as t where t.tenant_id = for_tenant);
end $$;

create function value.lock_value(for_tenant text) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    perform value.lock_tenants(array[for_tenant]);
end $$;

-- Customers that a billing event or usage of the last billing run names; of_customer null: all.
create function value.known_customers(for_tenant text, of_customer text)
returns table (customer text)
language plpgsql set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
    return query
        select c.customer from billing.customer as c
         where c.tenant_id = for_tenant and (of_customer is null or c.customer = of_customer)
         union
        select u.customer from billing.usage_daily as u
         where u.tenant_id = for_tenant and (of_customer is null or u.customer = of_customer)
         union
        select n.customer from billing.unbilled_usage as n
         where n.tenant_id = for_tenant and (of_customer is null or n.customer = of_customer);
end $$;

-- Recorded metrics of the tenant or of one customer; money in one currency.
create function value.metrics(for_tenant text, of_customer text, of_currency text)
returns table (metric text, customer text, period text, value text)
language plpgsql set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
    return query
        select m.metric, m.customer, to_char(m.month, 'YYYY-MM'), trim_scale(m.value)::text from value.metric as m
         where m.tenant_id = for_tenant and (of_customer is null or m.customer = of_customer)
           and (m.currency is null or m.currency = of_currency)
         order by m.metric, m.customer, m.month;
end $$;

-- When the newest event behind the tenant's metrics was received.
create function value.metrics_known_at(for_tenant text) returns timestamptz
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    return (select max(m.known_at) from value.metric as m where m.tenant_id = for_tenant);
end $$;

-- Commits whose ids begin so, oldest first; their documents where asked for.
create function value.commits(for_tenant text, with_beginning text, with_documents boolean)
returns table (
    sequence bigint, commit text, model text, author text, parent text, committed_at timestamptz, previous text, chain text,
    document text
)
language plpgsql set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
    return query
        select c.sequence, c.commit_id, c.model, c.author, c.parent, c.committed_at, c.previous_hash, c.chain_hash,
               case when with_documents then c.document end
          from value.commit as c where c.tenant_id = for_tenant and starts_with(c.commit_id, with_beginning)
         order by c.sequence;
end $$;

create function value.agreed_commits(for_tenant text)
returns table (tenant text, commit_id text, parent text, document text, closed boolean)
language plpgsql set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
    return query select a.* from value.agreed_of(array[for_tenant]) as a;
end $$;

-- What the tables say was done to commits, oldest first: action is proposed, the side that approved, or the outcome of a closing.
create function value.commit_history(for_tenant text, of_commit text)
returns table (commit text, action text, by text, at timestamptz, reason text)
language plpgsql set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
    return query
        select c.commit_id, 'proposed', c.author, c.committed_at, null from value.commit as c
         where c.tenant_id = for_tenant and (of_commit is null or c.commit_id = of_commit)
         union all
        select a.commit_id, a.side, a.approved_by, a.approved_at, null from value.approval as a
         where a.tenant_id = for_tenant and (of_commit is null or a.commit_id = of_commit)
         union all
        select x.commit_id, x.outcome, x.closed_by, x.closed_at, x.reason from value.closing as x
         where x.tenant_id = for_tenant and (of_commit is null or x.commit_id = of_commit)
         order by 4, 1, 2;
end $$;

-- The log of what was done to commits, in the order of its chain.
create function value.commit_events(for_tenant text)
returns table (sequence bigint, commit text, action text, document text, previous text, chain text)
language plpgsql set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
    return query
        select e.sequence, e.commit_id, e.action, e.document, e.previous_hash, e.chain_hash
          from value.commit_event as e where e.tenant_id = for_tenant order by e.sequence;
end $$;

-- Where the chains of commits and of events end: sequence 0 before their first.
create function value.chain_ends(for_tenant text)
returns table (chain_of text, sequence bigint, chain text)
language plpgsql set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
    return query
        (select 'commits', c.sequence, c.chain_hash from value.commit as c
          where c.tenant_id = for_tenant order by c.sequence desc limit 1)
         union all
        (select 'events', e.sequence, e.chain_hash from value.commit_event as e
          where e.tenant_id = for_tenant order by e.sequence desc limit 1);
end $$;

create function value.add_commit(
    for_tenant text, new_sequence bigint, new_commit text, of_model text, by_author text, of_parent text, with_document text,
    after_hash text, with_hash text, at timestamptz
) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    insert into value.commit (tenant_id, commit_id, sequence, model, author, parent, document, previous_hash, chain_hash, committed_at)
    values (for_tenant, new_commit, new_sequence, of_model, by_author, of_parent, with_document, after_hash, with_hash, at);
end $$;

-- A trigger submits the entry of the audit log.
create function value.add_commit_event(
    for_tenant text, new_sequence bigint, of_commit text, with_action text, with_document text, after_hash text, with_hash text,
    with_actor text, with_request text
) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    perform set_config('valueverse.request', with_request, true),
            set_config('valueverse.actor', with_actor, true);
    insert into value.commit_event (tenant_id, sequence, commit_id, action, document, previous_hash, chain_hash)
    values (for_tenant, new_sequence, of_commit, with_action, with_document, after_hash, with_hash);
end $$;

create function value.add_approval(for_tenant text, of_commit text, of_side text, by text, at timestamptz) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    insert into value.approval (tenant_id, commit_id, side, approved_by, approved_at) values (for_tenant, of_commit, of_side, by, at);
end $$;

create function value.add_closing(for_tenant text, of_commit text, with_outcome text, by text, with_reason text, at timestamptz)
returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    insert into value.closing (tenant_id, commit_id, outcome, closed_by, reason, closed_at)
    values (for_tenant, of_commit, with_outcome, by, with_reason, at);
end $$;

-- Fee proposals, oldest first, each with the newest verdict and the finalised, unvoided invoice that bills it; of one customer and
-- model, or of all (null).
create function value.proposals(for_tenant text, of_customer text, of_model text)
returns table (
    proposal text, model text, customer text, subscription text, charge text, commit_id text, run_hash text,
    period_from timestamptz, period_to timestamptz, first_day date, last_day date, realised_value text, binding text,
    fee_to_date text, amount text, currency text, proposed_at timestamptz, disputable_until timestamptz, verdict text,
    said_at timestamptz, invoice text
)
language plpgsql set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
    return query
        select p.proposal, p.model, p.customer, p.subscription, p.charge, p.commit_id, p.run_hash, p.period_from, p.period_to,
               (p.period_from at time zone t.timezone)::date,
               ((p.period_to - interval '1 microsecond') at time zone t.timezone)::date,
               trim_scale(p.realised_value)::text, p.binding, trim_scale(p.fee_to_date)::text, trim_scale(p.amount)::text,
               p.currency::text, p.proposed_at, p.disputable_until, latest.verdict, latest.said_at, billing_invoice.number
          from value.proposal as p
          join billing.tenant as t on t.tenant_id = p.tenant_id
          left join lateral (
              select v.verdict, v.said_at from value.verdict as v
               where v.tenant_id = p.tenant_id and v.proposal = p.proposal order by v.said_at desc, v.verdict limit 1
          ) as latest on true
          left join lateral (
              select i.number from billing.invoice_line as l
                join billing.invoice as i on i.tenant_id = l.tenant_id and i.invoice_id = l.invoice_id
               where l.tenant_id = p.tenant_id and l.kind = 'outcome' and i.status = 'finalised' and l.proposal = p.proposal
                 and not exists (select from billing.invoice_void as v
                                  where v.tenant_id = i.tenant_id and v.invoice_id = i.invoice_id)
               order by i.sequence limit 1
          ) as billing_invoice on true
         where p.tenant_id = for_tenant and (of_customer is null or p.customer = of_customer)
           and (of_model is null or p.model = of_model)
         order by p.period_to, p.proposed_at, p.proposal;
end $$;

do $$
declare
    one regprocedure;
begin
    for one in select p.oid from pg_proc as p where p.pronamespace = 'value'::regnamespace loop
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
