"""The commands, by file."""

from gateway.pop3.commands import apop, auth, capa, dele, lang, list, quit, retr, stat, stls, uidl, user, utf8  # noqa: A004, F401
from gateway.pop3.registry import COMMANDS

__all__ = ["COMMANDS"]
