"""All stores of this host: from an account to its Maildir, delivery into it, reading from it.

Synchronous; every call waits for disks, so it belongs in a pool. Trouble with disk or index is
Deferred(STORE_UNAVAILABLE), a full store Refused(MAILBOX_FULL), what a client asked wrongly one of
`gateway.store.errors`.
"""

from __future__ import annotations

from gateway.store.delivering import LfPieces, Target
from gateway.store.handing_back import HandingBack

__all__ = ["LfPieces", "Stores", "Target"]


class Stores(HandingBack):
    """Opens stores by account id; creates them at the first delivery or login."""
