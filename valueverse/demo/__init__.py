"""The demonstration's tenants: generators of CloudEvents that give the same bytes on every machine."""
