"""Accepted mail that is not delivered yet."""
