"""What a mailbox operation answers when the client asked for something that cannot be.

Each is a ValueError with a text for the client. Trouble with disk or index is `Deferred`, a full
store is `Refused(MAILBOX_FULL)`.
"""


class NoSuchMailbox(ValueError):
    """There is no mailbox of that name (RFC 5530 NONEXISTENT)."""


class MailboxExists(ValueError):
    """A mailbox of that name exists already (RFC 5530 ALREADYEXISTS)."""


class InvalidMailboxName(ValueError):
    """The name cannot be a mailbox here (RFC 5530 CANNOT)."""


class StoreHoldsMail(ValueError):
    """Something would take the place of messages that are there."""
