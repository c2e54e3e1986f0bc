"""The manager process: the router's links, the workers' supervision, adopted connections."""
