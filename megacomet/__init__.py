"""MegaComet: a comet server that holds a million browsers open and pushes to any of them with one HTTP call."""

__version__ = "0.1.0"
