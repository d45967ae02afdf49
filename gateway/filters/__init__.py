"""Content checks."""
