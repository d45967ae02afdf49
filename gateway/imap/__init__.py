"""IMAP4 as a core without input or output (RFC 3501, 9051)."""
