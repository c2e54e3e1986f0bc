"""The HTTP API of the manager, on Klein."""
