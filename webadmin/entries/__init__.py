"""Forms for entries of the directory, made from what the model says of their fields."""
