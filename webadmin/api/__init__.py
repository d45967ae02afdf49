"""The JSON interface: what administration does, for programs. One table of operations; routes and document come from it."""
