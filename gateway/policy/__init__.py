"""Verdicts on facts: connection, sender, recipient, content. Pure."""
