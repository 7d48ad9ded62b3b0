"""Past events under other terms, without writing anything."""
