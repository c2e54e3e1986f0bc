"""The `megacomet` command."""
