"""The client for browsers as the server has it: found, joined and held ready to be sent."""
