{{ invoices_that_do_not_add_up('discount_total_minor', ref('fct_invoice_discount')) }}
