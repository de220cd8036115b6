"""Providers: the configured connections, the registry of kinds, and one folder per kind."""
