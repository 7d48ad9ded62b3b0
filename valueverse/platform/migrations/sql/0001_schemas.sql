-- Who owns what: migrated schemas belong to a role without login, dbt's to the role that builds them.
create schema billing authorization valueverse_owner;
create schema audit authorization valueverse_owner;
create schema inbox authorization valueverse_owner;
create schema value authorization valueverse_owner;
create schema auth authorization valueverse_owner;
create schema guard authorization valueverse_owner;
create schema api authorization valueverse_reader;
create schema staging authorization valueverse_builder;
create schema intermediate authorization valueverse_builder;
create schema marts authorization valueverse_builder;

-- A new function is callable by everybody unless its owner says otherwise; ours say otherwise.
alter default privileges for role valueverse_owner revoke execute on functions from public;
alter default privileges for role valueverse_builder revoke execute on functions from public;
alter default privileges for role valueverse_reader revoke execute on functions from public;

revoke all on schema public from public;
