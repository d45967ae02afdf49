"""Trackers: follow a directory's changes. One module a method; `port.py` is what they have in common."""
