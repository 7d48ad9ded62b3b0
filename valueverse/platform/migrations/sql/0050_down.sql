set local role valueverse_reader;
drop function api.add_verdict(text, text, text, text, text, timestamptz, text, text);
drop function api.proposal_verdicts(text, text);
drop function api.add_proposal(
    text, text, text, text, text, text, text, text, timestamptz, timestamptz, numeric, numeric, text, numeric, text, timestamptz,
    timestamptz, text
);
drop function api.add_run(
    text, text, text, text, date, timestamptz, text, text, text, timestamptz, text[], text[], text[], text, text
);
drop function api.run_results(text, text);
drop function api.run(text, text);
drop function api.newest_runs(text, text, date, boolean);
drop function api.measured_months(text);
drop function api.metric_lines(text, text, text, text, date, timestamptz);
reset role;

set local role valueverse_owner;
drop function value.add_verdict(text, text, text, text, text, timestamptz, text, text);
drop function value.proposal_verdicts(text, text);
drop function value.add_proposal(
    text, text, text, text, text, text, text, text, timestamptz, timestamptz, numeric, numeric, text, numeric, text, timestamptz,
    timestamptz, text
);
drop function value.add_run(
    text, text, text, text, date, timestamptz, text, text, text, timestamptz, text[], text[], text[], text, text
);
drop function value.run_results(text, text);
drop function value.run(text, text);
drop function value.newest_runs(text, text, date, boolean);
drop function value.measured_months(text);
drop function value.metric_lines(text, text, text, text, date, timestamptz);
create or replace function audit.on_verdict() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    insert into audit.submitted (tenant_id, entry)
    select n.tenant_id,
           audit.entry_text(n.tenant_id, 'fee.' || n.verdict, n.proposal,
                            encode(sha256(convert_to(coalesce(n.reason, ''), 'UTF8')), 'hex'),
                            audit.pseudonym(n.tenant_id, n.said_by))
      from new_rows as n order by n.tenant_id, n.proposal, n.verdict;
    return null;
end $$;
drop function value.effective_lines(text[], timestamptz);
revoke insert on value.run, value.result, value.proposal, value.verdict from valueverse_reader;
do $$
declare
    one regclass;
begin
    foreach one in array array['value.run', 'value.result']::regclass[]
    loop
        execute format('drop policy api_tenant on %s', one);
        execute format('drop policy api_reader on %s', one);
        execute format('revoke select on %s from valueverse_reader', one);
    end loop;
end $$;
reset role;
