"""The load client: thousands of parked long-polls per process, and a check that none of them misses a message."""
