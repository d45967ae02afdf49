"""The commands, by file."""

from gateway.pop3.commands import auth, capa, dele, list, quit, retr, stat, stls, uidl, user  # noqa: A004, F401
from gateway.pop3.registry import COMMANDS

__all__ = ["COMMANDS"]
