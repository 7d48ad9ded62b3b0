-- What is finalised stays: for the owner and a superuser too (ENABLE ALWAYS also fires for a replication role).
-- Statement triggers with transition tables: one look-up per statement, not per row.
set local role valueverse_owner;

create function billing.refuse_change() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    raise exception '% is refused on %.%: its rows are kept as they were written', tg_op, tg_table_schema, tg_table_name
        using errcode = 'restrict_violation', hint = 'Write a correction or a void instead.';
end $$;

create function billing.refuse_finalised_invoice() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    one record;
begin
    select tenant_id, number into one from old_rows where status = 'finalised' limit 1;
    if found then
        raise exception '% of finalised invoice % of tenant % is refused', tg_op, one.number, one.tenant_id
            using errcode = 'restrict_violation', hint = 'Book the difference on the next invoice, or void this one.';
    end if;
    return null;
end $$;

create function billing.refuse_finalised_line() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    one record;
begin
    select invoice.tenant_id, invoice.number into one
      from (select distinct tenant_id, invoice_id from changed_rows) as line
      join billing.invoice using (tenant_id, invoice_id)
     where invoice.status = 'finalised' limit 1;
    if found then
        raise exception '% of a line of finalised invoice % of tenant % is refused', tg_op, one.number, one.tenant_id
            using errcode = 'restrict_violation',
                  hint = 'Book the difference on the next invoice.';
    end if;
    return null;
end $$;

-- Whether the running transaction, or a savepoint in it, wrote a row: its xmin, made a full transaction id, is in progress.
-- (A row we see is committed or ours; nobody else's unfinished row is visible.)
create function billing.written_now(writer xid) returns boolean
language sql stable set search_path = pg_catalog, pg_temp as $$
    select case when full_id.value < 3 then false else pg_xact_status(full_id.value::text::xid8) = 'in progress' end
      from (select pg_current_xact_id()::text::bigint as value) as current_id,
           lateral (
               select current_id.value
                      + ((writer::text::bigint - current_id.value + 2147483648) & 4294967295) - 2147483648 as value
           ) as full_id
$$;

create function billing.refuse_late_line() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    one record;
begin
    select invoice.tenant_id, invoice.number into one
      from (select distinct tenant_id, invoice_id from changed_rows) as line
      join billing.invoice using (tenant_id, invoice_id)
     where invoice.status = 'finalised' and not billing.written_now(invoice.xmin) limit 1;
    if found then
        raise exception 'a new line of finalised invoice % of tenant % is refused', one.number, one.tenant_id
            using errcode = 'restrict_violation',
                  hint = 'Lines are written with their invoice; book differences on the next invoice.';
    end if;
    return null;
end $$;

-- Numbers run 1, 2, 3 ... per tenant and each finalised invoice names the chain hash of the one before it.
create function billing.check_sequence() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    one record;
begin
    with fresh as (select tenant_id, sequence, previous_hash from new_rows where status = 'finalised')
    select fresh.tenant_id, fresh.sequence, before.sequence is null as gap into one
      from fresh
      left join billing.invoice as before
        on before.tenant_id = fresh.tenant_id and before.sequence = fresh.sequence - 1
     where (fresh.sequence > 1 and before.sequence is null) or fresh.previous_hash is distinct from before.chain_hash
     limit 1;
    if found then
        raise exception 'sequence % of tenant % %', one.sequence, one.tenant_id,
            case when one.gap and one.sequence > 1 then 'leaves a gap: no invoice carries the number before it'
                 else 'does not carry the chain hash of the invoice before it' end
            using errcode = 'check_violation', hint = 'Take the next number from billing.invoice_sequence.';
    end if;
    return null;
end $$;

create function billing.refuse_rewind() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    if new.last_sequence < old.last_sequence or new.tenant_id <> old.tenant_id then
        raise exception 'the invoice sequence of tenant % cannot go back from % to %',
            old.tenant_id, old.last_sequence, new.last_sequence using errcode = 'restrict_violation';
    end if;
    return new;
end $$;

create trigger finalised_update after update on billing.invoice
    referencing old table as old_rows for each statement execute function billing.refuse_finalised_invoice();
create trigger finalised_delete after delete on billing.invoice
    referencing old table as old_rows for each statement execute function billing.refuse_finalised_invoice();
create trigger no_truncate before truncate on billing.invoice
    for each statement execute function billing.refuse_change();
create trigger sequence_insert after insert on billing.invoice
    referencing new table as new_rows for each statement execute function billing.check_sequence();
create trigger sequence_update after update on billing.invoice
    referencing new table as new_rows for each statement execute function billing.check_sequence();

create trigger finalised_insert after insert on billing.invoice_line
    referencing new table as changed_rows for each statement execute function billing.refuse_late_line();
create trigger finalised_update_from after update on billing.invoice_line
    referencing old table as changed_rows for each statement execute function billing.refuse_finalised_line();
create trigger finalised_update_to after update on billing.invoice_line
    referencing new table as changed_rows for each statement execute function billing.refuse_finalised_line();
create trigger finalised_delete after delete on billing.invoice_line
    referencing old table as changed_rows for each statement execute function billing.refuse_finalised_line();
create trigger no_truncate before truncate on billing.invoice_line
    for each statement execute function billing.refuse_change();

create trigger insert_only before update or delete or truncate on billing.invoice_void
    for each statement execute function billing.refuse_change();

create trigger no_rewind before update on billing.invoice_sequence
    for each row execute function billing.refuse_rewind();
create trigger no_loss before delete or truncate on billing.invoice_sequence
    for each statement execute function billing.refuse_change();

do $$
declare
    one record;
begin
    for one in select t.tgname, t.tgrelid::regclass as name from pg_trigger t join pg_class c on c.oid = t.tgrelid
                where c.relnamespace = 'billing'::regnamespace and not t.tgisinternal
    loop
        execute format('alter table %s enable always trigger %I', one.name, one.tgname);
    end loop;
end $$;

reset role;
