"""POP3: framing, states, one file a command; without input or output."""
