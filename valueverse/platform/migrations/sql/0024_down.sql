set local role valueverse_reader;
drop function api.rejected_events(text, text, text, integer);
reset role;

set local role valueverse_builder;
drop view if exists staging.stg_ignored_files cascade;
reset role;
set local role valueverse_owner;
drop policy api_tenant on billing.rejected_event;
drop policy api_reader on billing.rejected_event;
revoke select on billing.rejected_event from valueverse_reader;
drop table billing.ignored_file;
reset role;
