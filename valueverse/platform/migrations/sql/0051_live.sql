-- A stream of events goes on while its session does: an access token outlives it.
set local role valueverse_reader;
create function api.session_open(for_tenant text, for_family uuid) returns boolean
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform set_config('valueverse.tenant', for_tenant, true);
    return auth.is_open(for_tenant, for_family);
end $$;
revoke execute on function api.session_open(text, uuid) from public;
grant execute on function api.session_open(text, uuid) to valueverse_api;
reset role;
