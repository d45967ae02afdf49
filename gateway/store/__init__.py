"""Maildir, index and quota."""
