"""Tests on real processes: a `twistd megacomet` for each, and clients on its port."""
