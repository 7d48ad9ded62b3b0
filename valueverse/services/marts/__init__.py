"""dbt: its project, its builds, and builds that go on without a tenant."""
