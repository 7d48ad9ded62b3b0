-- The builder loads and reads; TRUNCATE and REFERENCES are nobody's, since they pass by row-level security.
grant usage on schema billing, audit, inbox, value, guard to valueverse_builder;
grant select, insert, update, delete on all tables in schema billing, audit, inbox, value to valueverse_builder;
alter default privileges for role valueverse_owner in schema billing, audit, inbox, value
    grant select, insert, update, delete on tables to valueverse_builder;
grant execute on all functions in schema billing to valueverse_builder;

-- Analysts reach marts only; what they see there is their policy's business.
grant usage on schema marts to valueverse_analyst;
alter default privileges for role valueverse_builder in schema marts grant select on tables to valueverse_analyst;

grant usage on schema api to valueverse_api;
