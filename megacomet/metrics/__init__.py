"""Metrics for Prometheus: which there are, where each is read, and the text that is served."""
