"""Violations that a live database can have: each is a change, and a part of the sentence that names it."""

from __future__ import annotations

SETUP = """
create role analyst_probe login nosuperuser nobypassrls nocreatedb nocreaterole noreplication connection limit 8;
grant valueverse_analyst to analyst_probe with set false;
alter role analyst_probe set statement_timeout = '5min';
alter role analyst_probe set idle_in_transaction_session_timeout = '5min';
alter role analyst_probe set temp_file_limit = '4GB';
set local role valueverse_builder;
create table marts.probe (tenant_id text, amount int) partition by hash (tenant_id);
create table marts_partitions.probe__p00 partition of marts.probe for values with (modulus 1, remainder 0);
create view marts.probe_view as select * from marts.probe;
reset role;
"""
"""An analyst and a mart, as the commands and dbt make them; run as a superuser in a transaction that is undone."""

NO_GUARD = "alter event trigger valueverse_guard disable; "
GUARD_AGAIN = "; alter event trigger valueverse_guard enable"

POLICIES = {
    "drop policy api_tenant on billing.invoice": "policy billing.invoice, api_tenant: missing",
    "alter policy api_tenant on billing.invoice using (true)": "policy billing.invoice, api_tenant",
    "alter policy api_tenant on billing.invoice using (true or tenant_id = (select current_setting('valueverse.tenant',"
    " true)))": "policy billing.invoice, api_tenant",
    "alter policy api_tenant on billing.customer using (current_setting('valueverse.tenant', true) is not null)": (
        "policy billing.customer, api_tenant"
    ),
    "alter policy api_tenant on billing.usage_daily using (tenant_id = coalesce(nullif(current_setting("
    "'valueverse.tenant', true), ''), tenant_id))": "policy billing.usage_daily, api_tenant",
    "alter policy api_tenant on auth.api_key using (true)": "policy auth.api_key, api_tenant",
    "alter policy api_tenant on billing.invoice to valueverse_builder": "policy billing.invoice, api_tenant",
    "create policy support on billing.invoice to valueverse_api using (true)": "policy billing.invoice, support",
    "alter policy own_rows on guard.analyst_tenant using (true)": "policy guard.analyst_tenant, own_rows",
    "alter policy analyst_tenant on marts.probe using (true or tenant_id = any (array(select mapped.tenant_id from"
    " guard.analyst_tenant as mapped where mapped.role_name = session_user)))": "marts.probe: policy analyst_tenant",
    "create policy analyst_tenant on marts_partitions.probe__p00 for select to valueverse_analyst using (true)": (
        "marts_partitions.probe__p00: policy analyst_tenant"
    ),
    "grant select on marts_partitions.probe__p00 to valueverse_analyst": (
        "valueverse_analyst has rights on marts_partitions.probe__p00"
    ),
    "drop policy analyst_tenant on marts.probe": "marts.probe: analysts have no policy",
    "create policy support on marts.probe using (true)": "marts.probe: policy support",
    "alter table billing.customer disable row level security": "billing.customer, row-level security",
    "alter table billing.invoice no force row level security": "billing.invoice, row-level security",
    "alter table marts.probe no force row level security": "marts.probe: row-level security",
    "alter view marts.probe_view reset (security_invoker)": "marts.probe_view: the view shows",
    "alter view billing.meter_gap reset (security_invoker)": "table billing.meter_gap, view",
}

ROLES = {
    "grant valueverse_reader to analyst_probe": "analyst analyst_probe: membership valueverse_reader",
    "grant pg_read_server_files to analyst_probe": "analyst analyst_probe: membership pg_read_server_files",
    "grant pg_execute_server_program to analyst_probe": "analyst_probe: membership pg_execute_server_program",
    "grant valueverse_analyst to analyst_probe with set true": "membership valueverse_analyst is inherit, set",
    "grant pg_read_all_data to valueverse_analyst": "membership valueverse_analyst, pg_read_all_data",
    "grant valueverse_builder to valueverse_api": "membership valueverse_api, valueverse_builder",
    "create role mallory login in role valueverse_reader": "membership mallory, valueverse_reader",
    "alter role valueverse_reader bypassrls": "role valueverse_reader, attributes",
    "alter role valueverse_api superuser": "role valueverse_api, attributes",
    "alter role valueverse_api createrole": "role valueverse_api, attributes",
    "alter role valueverse_api connection limit -1": "role valueverse_api, attributes",
    "alter role valueverse_owner login": "role valueverse_owner, attributes",
    "alter role analyst_probe replication": "analyst analyst_probe: role attributes",
    "alter role analyst_probe connection limit -1": "analyst analyst_probe: role attributes",
    "alter role analyst_probe reset statement_timeout": "analyst analyst_probe: setting statement_timeout",
    "alter role analyst_probe set idle_in_transaction_session_timeout = 0": "setting idle_in_transaction",
    "alter role valueverse_api reset temp_file_limit": "setting valueverse_api, temp_file_limit",
    "alter role analyst_probe set session_replication_role = replica": "setting session_replication_role",
    "alter role valueverse_api in database {database} set statement_timeout = 0": (
        "setting valueverse_api in warehouse, statement_timeout"
    ),
    "alter role valueverse_builder in database {database} set idle_in_transaction_session_timeout = 0": (
        "setting valueverse_builder in warehouse, idle_in_transaction_session_timeout"
    ),
    "alter role analyst_probe in database {database} set statement_timeout = 0": (
        "analyst analyst_probe in warehouse: setting statement_timeout"
    ),
    "alter role all set idle_in_transaction_session_timeout = '6h'; alter database {database}"
    " set idle_in_transaction_session_timeout = 0": "setting warehouse, idle_in_transaction_session_timeout",
    "alter role all set statement_timeout = 0": "setting everybody, statement_timeout",
    "alter database {database} set search_path = public, pg_catalog": "setting warehouse, search_path",
    "alter database {database} set valueverse.tenant = 'acme'": "setting warehouse, valueverse.tenant",
    "alter role valueverse_builder set row_security = off": "setting valueverse_builder, row_security",
    "create role mallory login; do $$ begin execute format('grant %I to mallory', current_user); end $$": (
        "membership mallory, "
    ),
    "alter database postgres owner to analyst_probe": "database postgres is owned by analyst_probe",
    "alter database template1 owner to valueverse_api": "database template1 is owned by valueverse_api",
    "grant connect on database postgres to valueverse_builder": "database postgres is open to valueverse_builder",
    "grant set on parameter session_replication_role to valueverse_analyst": "parameter session_replication_role",
}

RIGHTS = {
    "grant select on billing.invoice to valueverse_analyst": "rights on table billing.invoice, valueverse_analyst",
    "grant select on billing.invoice to analyst_probe": "rights on table billing.invoice, analyst_probe",
    "grant select on billing.invoice to valueverse_api": "rights on table billing.invoice, valueverse_api",
    "grant select (document) on billing.invoice to valueverse_api": "rights on column billing.invoice.document",
    "grant select on billing.invoice to public": "rights on table billing.invoice, everybody",
    "grant select on billing.ingestion_file to valueverse_reader": "rights on table billing.ingestion_file",
    "grant truncate on billing.invoice to valueverse_builder": "rights on table billing.invoice, valueverse_builder",
    "grant insert on guard.analyst_tenant to valueverse_analyst": "rights on table guard.analyst_tenant",
    "grant select on guard.analyst_tenant to public": "rights on table guard.analyst_tenant, everybody",
    "grant insert, update on marts.probe to valueverse_analyst": "valueverse_analyst has rights on marts.probe",
    "grant select on marts.probe to valueverse_analyst with grant option": "has rights on marts.probe",
    "grant create on schema marts to valueverse_analyst": "rights on schema marts, valueverse_analyst",
    "grant usage on schema api to valueverse_analyst": "rights on schema api, valueverse_analyst",
    "grant usage, create on schema public to public": "rights on schema public, everybody",
    "grant execute on function api.invoice(text, text) to valueverse_analyst": "rights on function api.invoice(",
    "grant execute on function pg_advisory_lock(bigint) to public": "server function pg_advisory_lock(bigint)",
    "grant execute on function lo_create(oid) to public": "server function lo_create(oid)",
    "grant execute on function pg_logical_emit_message(boolean, text, text, boolean) to public": (
        "server function pg_logical_emit_message(boolean,text,text,boolean)"
    ),
    "grant select on pg_authid to valueverse_analyst": "server relation pg_catalog.pg_authid",
    "alter default privileges for role valueverse_reader grant execute on functions to public": (
        "default rights valueverse_reader"
    ),
    "alter default privileges for role valueverse_builder in schema marts grant insert on tables to"
    " valueverse_analyst": "default rights valueverse_builder in marts",
    "alter default privileges for role valueverse_owner grant select on tables to public": "default rights",
}  # fmt: skip

OBJECTS = {
    "create table marts.open (amount int); alter table marts.open owner to valueverse_builder": "has no tenant_id",
    "create function marts.all_of_it() returns bigint language sql security definer as 'select 1'": "marts.all_of_it",
    "create function marts.spy(text) returns boolean language sql leakproof as 'select true'": "function marts.spy",
    "create table marts.child () inherits (billing.customer)": "inherits from billing.customer",
    "create rule spill as on insert to billing.customer do also select 1": "rule billing.customer, spill",
    "create publication everything for all tables": "publication everything",
    "create foreign data wrapper other": "foreign data wrapper other",
    "select lo_create(4711); grant select on large object 4711 to public": "large object 4711",
    "alter table billing.invoice owner to valueverse_reader": "owner of table billing.invoice",
    "alter table marts.probe owner to valueverse_reader": "marts.probe is owned by valueverse_reader",
    "alter function api.invoice(text, text) owner to valueverse_owner": "owner of function api.invoice(",
    "alter function api.invoice(text, text) security invoker": "function api.invoice(",
    "alter function api.invoice(text, text) reset search_path": "function api.invoice(",
    "create or replace function api.customer_known(for_tenant text, of_customer text) returns boolean language sql"
    " security definer set search_path = pg_catalog, pg_temp as 'select true'": "function api.customer_known(",
    "create function api.everything() returns setof billing.invoice language sql security definer as"
    " 'select * from billing.invoice'": "function api.everything()",
    "alter table billing.invoice disable trigger finalised_update": "trigger billing.invoice, finalised_update",
    "alter table billing.invoice_line enable trigger finalised_delete": "billing.invoice_line, finalised_delete",
    "alter table billing.journal_entry disable trigger insert_only": "trigger billing.journal_entry, insert_only",
    "drop trigger balanced on billing.journal_posting": "trigger billing.journal_posting, balanced",
    "alter table billing.invoice_line disable trigger all": "trigger billing.invoice_line, foreign keys",
    "alter event trigger valueverse_guard disable": "event trigger valueverse_guard",
    "create function public.hidden() returns bigint language sql security definer as 'select 1'; alter extension"
    " plpgsql add function public.hidden()": "function public.hidden()",
    "alter function api.invoice(text, text) immutable": "function api.invoice(",
    "create operator public.= (leftarg = text, rightarg = text, function = textne)": "operator public.=(text,text)",
    "create cast (bytea as text) without function as implicit": "cast bytea, text",
    "alter table billing.journal_posting drop constraint journal_posting_pkey cascade": (
        "constraint billing.journal_posting, journal_posting_pkey: missing"
    ),
    "drop index billing.one_invoice_per_period": "unique index billing.invoice, billing.one_invoice_per_period",
    "alter table auth.api_key alter tenant_id set default 'acme'": "column auth.api_key, tenant_id",
}  # fmt: skip

BY_ANALYST = {
    "alter role analyst_probe reset statement_timeout",
    "alter role analyst_probe set idle_in_transaction_session_timeout = 0",
    "alter role analyst_probe in database {database} set statement_timeout = 0",
}
"""An analyst may open these for itself: `doctor` names them, and the API serves."""

VIOLATIONS = {**POLICIES, **ROLES, **RIGHTS, **OBJECTS}


def change(violation: str, database: str) -> str:
    """The statements that open ``violation`` in ``database``: the guard would repair some at once, so it looks away
    meanwhile."""
    violation = violation.replace("{database}", database)
    return violation if "valueverse_guard" in violation else NO_GUARD + violation + GUARD_AGAIN
