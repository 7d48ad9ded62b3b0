"""The only part that touches the world: settings, servers, lake, warehouse, migrations, keys, telemetry."""
