"""The contracts of frames that leave their module: columns, types, key, which may be null, and meaning."""
