"""One-pass scanner of stored messages."""
