-- Answers about invoices are kept in memory by the API's processes. What is finalised never changes but by being voided: whoever
-- keeps an answer is notified when that is committed, and of every other change of an invoice's row. Whose it was is not said,
-- for every login of the database may listen.
set local role valueverse_owner;

create function billing.notify_of_changed_answers() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    perform pg_notify('invoices_changed', '');
    return null;
end $$;
create trigger answers_changed after insert on billing.invoice_void
    for each statement execute function billing.notify_of_changed_answers();
create trigger answers_changed after update on billing.invoice
    for each statement execute function billing.notify_of_changed_answers();

reset role;
