"""The commands, one file each."""

from gateway.imap.commands import (  # noqa: F401
    acl,
    append,
    authenticate,
    capability,
    close,
    copy,
    create,
    delete,
    enable,
    expunge,
    fetch,
    identity,
    idle,
    listing,
    login,
    logout,
    lsub,
    move,
    namespace,
    noop,
    quota,
    rename,
    replace,
    search,
    select,
    sort,
    starttls,
    status,
    store,
    subscribe,
    thread,
    unauthenticate,
)
from gateway.imap.registry import COMMANDS

__all__ = ["COMMANDS"]
