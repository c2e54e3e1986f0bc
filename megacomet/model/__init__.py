"""The rules: positions, retention, gaps, who listens where. No Twisted, no sockets; time is an argument."""
