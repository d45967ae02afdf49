"""The commands, one file each."""

from gateway.imap.commands import (  # noqa: F401
    capability,
    close,
    copy,
    create,
    delete,
    enable,
    expunge,
    fetch,
    identity,
    listing,
    login,
    logout,
    move,
    namespace,
    noop,
    rename,
    search,
    select,
    status,
    store,
    subscribe,
)
from gateway.imap.registry import COMMANDS

__all__ = ["COMMANDS"]
