"""Use cases of catalogs: check one, compare two, publish one."""
