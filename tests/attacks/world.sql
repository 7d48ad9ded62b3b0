-- Others' rows are written first: where a filter is missing, they are met first.
-- Rows of one tenant (t), with a text of its own (s), a zone (z) and the same identifiers as every other's (i, l, d, f).
insert into billing.tenant (tenant_id, name, timezone, currency, tax_id) values (%(t)s, %(s)s, %(z)s, 'USD', %(s)s);
insert into billing.customer (tenant_id, customer, name, email) values (%(t)s, 'c1', %(s)s, %(s)s), (%(t)s, 'only ' || %(t)s::text, %(s)s, null);
insert into billing.rejected_event values (%(t)s, 's', 'e1', 't', 'r', %(s)s, null, '2024-01-01Z');
insert into billing.subscription (tenant_id, subscription, customer, plan, plan_version, timezone, currency, anchor_date,
    started_at, status) values (%(t)s, 's1', 'c1', 'p', 1, %(z)s, 'USD', '2024-01-01', '2024-01-01', 'active');
insert into billing.invoice (tenant_id, invoice_id, status, number, sequence, customer, subscription, currency, period_from,
    period_to, invoice_type, issued_on, subtotal_minor, discount_total_minor, tax_total_minor, total_minor, credit_total_minor,
    amount_due_minor, document, content_hash, chain_hash, finalised_at, previous_hash)
values (%(t)s, %(i)s, 'finalised', 'INV-1', 1, 'c1', 's1', 'USD', '2024-01-01', '2024-02-01', 'period', '2024-02-02', 100, 0, 0,
        100, 0, 100, %(s)s, %(s)s, 'chain 1', now(), null),
       (%(t)s, %(l)s, 'finalised', 'INV-2', 2, 'c1', 's1', 'USD', '2024-03-01', '2024-04-01', 'period', '2024-04-02', 0, 0, 0, 0, 0,
        0, %(s)s, %(s)s, 'chain 2', now(), 'chain 1'),
       (%(t)s, %(d)s, 'draft', null, null, 'c1', 's1', 'USD', '2024-02-01', '2024-03-01', 'period', '2024-03-02', 100, 0, 0,
        100, 0, 100, null, null, null, null, null);
insert into billing.unchanged_invoice values (%(t)s, %(i)s, '2024-03-01Z', '2024-03-02Z');
insert into billing.earlier_state (tenant_id, kind, key, customer, held_until, state)
select %(t)s, kind, key, customer, 'infinity', jsonb_build_object('name', %(s)s::text, 'plan', %(s)s::text, 'number', 'INV-1', 'amount', 1, 'reason', %(s)s::text)
  from (values ('tenant', %(t)s::text, null), ('customer', 'c1', 'c1'), ('subscription', 's1', 'c1'), ('credit_note', 'n1', 'c1')) as one (kind, key, customer);
insert into billing.invoice_line (tenant_id, invoice_id, line_no, key, kind, description, amount_precise, amount_minor, currency)
values (%(t)s, %(i)s, 1, 'k', 'fee', %(s)s, 1, 100, 'USD'), (%(t)s, %(d)s, 1, 'k', 'fee', %(s)s, 1, 100, 'USD');
insert into billing.invoice_credit values (%(t)s, %(i)s, 1, 'wallet', 'w', 'o', 1), (%(t)s, %(d)s, 2, 'wallet', 'w', 'o', 1);
insert into billing.invoice_discount values (%(t)s, %(i)s, 1, 'k', 'o', 1), (%(t)s, %(d)s, 2, 'k', 'o', 1);
insert into billing.invoice_tax values (%(t)s, %(i)s, 1, 'k', 1, 1, 1), (%(t)s, %(d)s, 2, 'k', 1, 1, 1);
insert into billing.invoice_sequence values (%(t)s, 2, 'chain 2');
insert into billing.catalog values (%(t)s, 'h', '2024-01-01', to_jsonb(%(s)s::text)), (%(t)s, 'only ' || %(t)s::text, '2024-01-01', to_jsonb(%(s)s::text));
insert into billing.usage_daily (tenant_id, customer, subscription, meter, day, quantity, events)
values (%(t)s, 'c1', 's1', 'm', '2024-01-05', length(%(s)s::text), length(%(z)s::text));
insert into inbox.batch (tenant_id, receipt, received_at, body, events, expanded, key_hashes)
values (%(t)s, %(f)s, '2024-01-01Z', convert_to(%(s)s, 'UTF8'), 1, 1, '0123456789abcdef');
insert into inbox.answer (tenant_id, key_hash, fingerprint, status, body)
select %(t)s, sha256(convert_to(key, 'UTF8')), sha256('f'), 201, convert_to(%(s)s, 'UTF8') from unnest(array['k', 'only ' || %(t)s::text]) as key;
insert into auth.portal_link (tenant_id, link_hash, customer, key_prefix, expires_at, used_at)
values (%(t)s, 'link', 'c1', 'k1', now() + interval '1 h', null), (%(t)s, 'used', 'c1', 'k1', now() + interval '1 h', now()),
    (%(t)s, 'old', 'c1', 'k1', now() - interval '1 h', null), (%(t)s, 'of a revoked key', 'c1', 'k2', now() + interval '1 h', null),
    (%(t)s, 'only ' || %(t)s::text, 'c1', 'k1', now() + interval '1 h', null);
insert into auth.api_key (tenant_id, prefix, key_hash, revoked_at)
values (%(t)s, 'k1', 'h ' || %(t)s::text, null), (%(t)s, 'k2', 'revoked ' || %(t)s::text, case when %(t)s = 'acme' then now() end), (%(t)s, 'only ' || %(t)s::text, 'o ' || %(t)s::text, null);
insert into auth.refresh_token (tenant_id, token_hash, family, key_prefix, used_at, idle_expires_at, expires_at, revoked_at)
select %(t)s, token, family::uuid, prefix, used, now() + interval '1 h', expires, revoked
  from (values ('open', %(f)s, 'k1', case when %(t)s = 'birch' then now() - interval '1 h' end, now() + interval '1 d', null::timestamptz),
               ('used', %(f)s, 'k1', now() - interval '1 h', now() + interval '1 d', null),
               ('of a revoked key', %(f)s, 'k2', null, now() + interval '1 d', null),
               ('expired', %(f)s, 'k1', null, now() - interval '1 h', null),
               ('revoked before', %(f)s, 'k1', null, now() + interval '1 d', now() - interval '1 h'),
               ('of another family', %(d)s, 'k1', null, now() + interval '1 d', null),
               ('only ' || %(t)s::text, case %(t)s when 'birch' then '00000000-0000-4000-8000-00000000000b' else %(f)s::text end, 'k1', null,
                now() + interval '1 d', null))
       as made (token, family, prefix, used, expires, revoked);
insert into auth.user_account (tenant_id, user_id, email, name, role, password_hash, disabled_at)
select %(t)s, 'usr_' || repeat(letter, 24), email, %(s)s, role, 'hash of ' || %(s)s::text, gone
  from (values ('a', 'a@x', 'owner', null::timestamptz), ('b', 'b@x', 'viewer', null), ('c', 'c@x', 'admin', now()))
       as made (letter, email, role, gone);
insert into auth.user_account (tenant_id, user_id, email, role)
values (%(t)s, 'usr_' || repeat(case %(t)s when 'acme' then 'd' else 'e' end, 24), 'only ' || %(t)s::text, 'viewer');
insert into auth.invitation (tenant_id, invitation, email, role, token_hash, invited_by, expires_at, accepted_at, revoked_at)
select %(t)s, 'inv_' || repeat(letter, 24), %(s)s, 'viewer', token, by, until, accepted, revoked
  from (values ('a', 'invited', 'k1', now() + interval '1 h', null::timestamptz, null::timestamptz),
               ('b', 'accepted', 'k1', now() + interval '1 h', now(), null),
               ('c', 'revoked', 'k1', now() + interval '1 h', null, now()),
               ('d', 'past', 'k1', now() - interval '1 h', null, null),
               ('e', 'by a revoked key', 'k2', now() + interval '1 h', null, null),
               (case %(t)s when 'acme' then 'f' else '0' end, 'only ' || %(t)s::text, 'k1', now() + interval '1 h', null, null))
       as made (letter, token, by, until, accepted, revoked);
update auth.user_account set totp_secret = convert_to(%(s)s, 'UTF8'), totp_since = now(), totp_step = 5
 where tenant_id = %(t)s and role = 'owner';
insert into auth.recovery_code (tenant_id, user_id, code_hash) values (%(t)s, 'usr_' || repeat('a', 24), 'code'),
    (%(t)s, 'usr_' || repeat('a', 24), 'only ' || %(t)s::text);
insert into auth.password_reset (tenant_id, token_hash, user_id, created_at, expires_at, used_at)
select %(t)s, token, 'usr_' || repeat('b', 24), now() - interval '1 h', until, used
  from (values ('reset', now() + interval '1 h', null::timestamptz), ('used', now() + interval '1 h', now()),
               ('past', now() - interval '1 h', null), ('only ' || %(t)s::text, now() + interval '1 h', null))
       as made (token, until, used);
insert into auth.identity_provider (tenant_id, provider, issuer, client_id, client_secret)
values (%(t)s, 'idp_' || repeat('a', 24), 'https://' || %(s)s::text, 'client', convert_to(%(s)s, 'UTF8'));
insert into auth.provider_sign_in (tenant_id, state_hash, provider, challenge, expires_at, token_hash, token_expires_at, subject, user_id, used_at)
select %(t)s, 'state of ' || token, 'idp_' || repeat(letter, 24), %(s)s, now() + interval '1 h', token, until, 'subject', 'usr_' || repeat('b', 24), used
  from (values ('signed in', 'a', now() + interval '1 h', null::timestamptz), ('used before', 'a', now() + interval '1 h', now()),
               ('too late', 'a', now() - interval '1 h', null), ('of a provider before', 'b', now() + interval '1 h', null),
               ('only ' || %(t)s::text, 'a', now() + interval '1 h', null))
       as made (token, letter, until, used);
insert into auth.provider_sign_in (tenant_id, state_hash, provider, challenge, expires_at)
values (%(t)s, 'at the provider', 'idp_' || repeat('a', 24), %(s)s, now() + interval '1 h');
update auth.user_account set provider_subject = 'subject' where tenant_id = %(t)s and email = 'b@x';
update auth.user_account set provider_subject = 'subject of ' || %(t)s::text where tenant_id = %(t)s and email like 'only %%';
insert into vault.data_key (tenant_id, subject, version, wrapped) values (%(t)s, '', 1, %(s)s), (%(t)s, 'c1', 1, 'of a customer');
insert into auth.refresh_token (tenant_id, token_hash, family, key_prefix, idle_expires_at, expires_at)
select %(t)s, 'of a person', %(l)s::uuid, 'usr_' || repeat('b', 24), now() + interval '1 h', now() + interval '1 d';
insert into value.model (tenant_id, model, version, text, content_hash, written_by)
select %(t)s, key, 1, %(s)s, repeat('0', 64), 'k1' from unnest(array['m', 'only ' || %(t)s::text]) as key;
insert into billing.computation (tenant_id, computation, kind, request, state, steps, result, job, requested_by)
values (%(t)s, %(f)s, 'rerating', '{}', 'done', 1, to_json(%(s)s::text), 1, 'k1'), (%(t)s, %(d)s, 'simulation', '{}', 'waiting', 2, null, 1, 'k1');
insert into audit.entry values (%(t)s, 1, json_build_object('object', 'INV-1', 'digest', %(s)s::text), sha256('chain')),
    (%(t)s, 2, json_build_object('object', 'only ' || %(t)s::text, 'digest', %(s)s::text), sha256('chain'));
insert into audit.node values (%(t)s, 1, 0, sha256(convert_to(%(s)s, 'UTF8'))),
    (%(t)s, 1, case %(t)s when 'birch' then 5 else 6 end, sha256(convert_to(%(s)s, 'UTF8')));
insert into billing.webhook_endpoint (tenant_id, endpoint, url, types)
select %(t)s, 'we_' || repeat(letter, 24), 'https://' || %(s)s::text, '{webhook.test}'
  from unnest(array['a', case %(t)s when 'birch' then 'b' else 'c' end]) as letter;
insert into billing.webhook_delivery (tenant_id, delivery, endpoint, type, object, message_id, body, state) overriding system value
select %(t)s, number, 'we_' || repeat('a', 24), 'webhook.test', number::text, 'm', to_json(%(s)s::text)::text, 'dead'
  from unnest(array[1000001, case %(t)s when 'birch' then 1000002 else 1000003 end]) as number;
insert into billing.webhook_attempt (tenant_id, delivery, reason, milliseconds) values (%(t)s, 1000001, %(s)s, 1);
insert into vault.restriction (tenant_id, customer, reason) values (%(t)s, 'held', %(s)s), (%(t)s, 'only ' || %(t)s::text, %(s)s);
insert into billing.payment_instrument (tenant_id, instrument, customer, provider, token, kind)
select %(t)s, 'pi_' || repeat(letter, 24), 'c1', 'p', %(s)s || letter, 'card'
  from unnest(array['a', case %(t)s when 'birch' then 'b' else 'c' end]) as letter;
-- What refers to rows that no attack is about is written without looking for them.
set local session_replication_role = replica;
insert into billing.credit_note values (%(t)s, 'n', %(s)s, null, null, 1, %(s)s, '2024-01-01Z');
insert into billing.journal_entry values (%(t)s, repeat('e', 64), 'invoice', %(s)s, '2024-01-01', 'USD', 0, null, '2024-01-01Z');
insert into billing.journal_posting values (%(t)s, repeat('e', 64), 1, 'receivable', %(s)s, null, null, 1, 'USD'),
    (%(t)s, repeat('e', 64), 2, 'revenue', %(s)s, null, null, -1, 'USD');
insert into billing.rerating values (%(t)s, 'plan', %(i)s, null, %(s)s, '2024-01-01Z');
insert into billing.unbilled_usage (tenant_id, customer, meter, day, reason, quantity, events)
values (%(t)s, 'unbilled ' || %(t)s::text, 'm', '2024-01-05', 'no_subscription', length(%(s)s::text), 1);
insert into value.metric values (%(t)s, 'usage.' || %(s)s::text, 'c1', '2024-01-01', null, 1, '2024-02-01Z'),
    (%(t)s, 'usage.m', 'only ' || %(t)s::text, case %(t)s when 'birch' then date '2024-03-01' else '2024-02-01' end, null, 1, '2024-01-01Z');
insert into value.commit (tenant_id, commit_id, sequence, model, author, parent, document, chain_hash, committed_at)
select %(t)s, repeat(digit, 64), place, %(s)s, %(s)s, null, %(s)s, %(s)s, '2024-01-01Z'
  from (values ('c', 1), (case %(t)s when 'birch' then 'b' else 'a' end, 2)) as made (digit, place);
insert into value.approval select %(t)s, repeat('c', 64), side, %(s)s, '2024-01-02Z' from unnest(array['vendor', 'customer']) as side;
insert into value.closing values (%(t)s, repeat('c', 64), 'confirmed', %(s)s, %(s)s, '2024-03-01Z');
insert into value.commit_event values (%(t)s, 1, repeat('c', 64), 'proposed', json_build_object('by', %(s)s::text)::text, null, repeat('d', 64));
insert into value.run (tenant_id, run_hash, commit_id, case_name, month, known_at, content_hash, document, computed_at)
select %(t)s, repeat(digit, 64), repeat(digit, 64), 'realised', '2024-01-01', '2024-02-01Z', repeat('0', 64), %(s)s, '2024-02-01Z'
  from unnest(array['c', case %(t)s when 'birch' then 'b' else 'a' end]) as digit;
insert into value.result values (%(t)s, repeat('c', 64), %(s)s, 1, %(s)s);
insert into value.proposal values (%(t)s, 'p', 'c', 'r', %(s)s, 'c1', 's1', 'k', '2024-01-01Z', '2024-02-01Z', 1, 1, 'none', 1, 'USD',
    '2024-02-01Z', '2024-03-01Z');
insert into value.verdict values (%(t)s, 'p', 'accepted', %(s)s, null, '2024-02-02Z');
set local session_replication_role = origin;
