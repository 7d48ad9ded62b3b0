"""Servers, tenants, analysts, SQL, the demo and the doctor."""
