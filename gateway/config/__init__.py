"""One YAML file, typed, every error with its place."""
