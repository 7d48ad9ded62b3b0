"""One module per command of ``valueverse``: it parses arguments, calls a service and prints."""
