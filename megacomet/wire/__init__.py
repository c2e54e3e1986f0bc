"""Sans-IO codecs: bytes to values and back. No socket, no reactor, no clock, no log."""
