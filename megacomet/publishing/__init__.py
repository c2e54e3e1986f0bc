"""Pushes from their decoding to what became of them, for the manager and for the workers alike."""
