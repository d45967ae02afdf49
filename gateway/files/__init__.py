"""Durable files: unique names, atomic writes, group commit."""
