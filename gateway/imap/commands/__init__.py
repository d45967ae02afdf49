"""The commands, one file each."""

from gateway.imap.commands import capability, fetch, login, logout, noop, select  # noqa: F401
from gateway.imap.registry import COMMANDS

__all__ = ["COMMANDS"]
