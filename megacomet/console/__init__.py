"""The console's server side: its files, its sessions, and the way from a session to the doors of the API."""
