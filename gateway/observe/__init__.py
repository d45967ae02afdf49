"""Events are values, one function an event; metrics."""
