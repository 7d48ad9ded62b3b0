set local role valueverse_owner;

drop trigger answers_changed on billing.invoice;
drop trigger answers_changed on billing.invoice_void;
drop function billing.notify_of_changed_answers();

reset role;
