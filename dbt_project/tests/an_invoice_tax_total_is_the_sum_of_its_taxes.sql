{{ invoices_that_do_not_add_up('tax_total_minor', ref('fct_invoice_tax')) }}
