"""The client for browsers as the server has it: found, read and held ready to be sent."""
