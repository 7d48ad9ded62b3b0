{{ invoices_that_do_not_add_up('credit_total_minor', ref('fct_credit_use')) }}
