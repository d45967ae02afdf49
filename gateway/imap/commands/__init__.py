"""The commands, one file each."""

from gateway.imap.commands import (  # noqa: F401
    capability,
    close,
    enable,
    fetch,
    identity,
    listing,
    login,
    logout,
    namespace,
    noop,
    search,
    select,
    status,
    store,
)
from gateway.imap.registry import COMMANDS

__all__ = ["COMMANDS"]
