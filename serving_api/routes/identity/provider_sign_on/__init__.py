"""Log-ins by a tenant's identity provider, and the provider itself."""
