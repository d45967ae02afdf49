"""Gatepost's mail services: SMTP, LMTP, IMAP and POP3 over Maildir, routed by the directory."""

__version__ = "0.1.0"
