set local role valueverse_reader;
drop function api.webhook_endpoints(text, text, timestamptz, text, integer);
drop function api.add_webhook_endpoint(text, uuid, text, text, text[], integer, text, text);
drop function api.change_webhook_endpoint(text, uuid, text, text, text[], text, interval, integer, text, text);
drop function api.send_webhook_test(text, uuid, text, text, text, text, text, text);
drop function api.webhook_deliveries(text, text, text, text, timestamptz, timestamptz, bigint, integer);
drop function api.webhook_delivery(text, bigint);
drop function api.replay_webhook_deliveries(text, uuid, bigint, text, text, text, timestamptz, timestamptz, bigint, integer, text, text);
reset role;

set local role valueverse_owner;
drop trigger audited on billing.webhook_endpoint;
drop trigger ended on billing.webhook_endpoint;
drop function audit.on_webhook_endpoint();
drop function billing.end_deliveries();
do $$
declare
    one regclass;
begin
    foreach one in array array['billing.webhook_endpoint', 'billing.webhook_delivery']::regclass[]
    loop
        execute format('drop policy api_reader on %s', one);
        execute format('drop policy api_tenant on %s', one);
        execute format('revoke all on %s from valueverse_reader', one);
    end loop;
end $$;
revoke update (url, types, secret_version, previous_until, disabled_at, disabled_reason) on billing.webhook_endpoint from valueverse_reader;
revoke update (state, attempts, due_at, status, reason, delivered_at) on billing.webhook_delivery from valueverse_reader;
drop index billing.webhook_delivery_of_endpoint;
drop index billing.webhook_delivery_dead;
drop table billing.webhook_attempt;
reset role;
