"""SMTP, LMTP and submission as a core without input or output (RFC 5321, 2033, 6409)."""
