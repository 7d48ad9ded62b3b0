{{ invoices_that_do_not_add_up('subtotal_minor', ref('fct_invoice_line')) }}
