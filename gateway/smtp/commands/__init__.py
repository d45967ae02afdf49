"""The verbs, one file each."""

from gateway.smtp.commands import data, hello, mail, noop, quit, rcpt, rset  # noqa: A004, F401
from gateway.smtp.registry import VERBS

__all__ = ["VERBS"]
