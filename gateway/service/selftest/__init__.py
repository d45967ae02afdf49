"""`gatepost selftest`: mail through the live system, as a client, with entries of its own that are removed again."""
