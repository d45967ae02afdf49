"""The whole system in one folder, and out of it again."""
