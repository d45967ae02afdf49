"""Mail as webmail needs it, read by IMAP and sent by submission in the name of whoever is logged in."""
