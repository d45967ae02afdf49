"""Values of mail: envelope, trace fields, dates. Pure."""
