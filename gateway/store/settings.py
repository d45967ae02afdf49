"""Where stores lie and how durable they are (configuration section `store`)."""

from __future__ import annotations

from typing import Literal

import msgspec


class Volume(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file system that holds stores."""

    path: str
    durability: Literal["fsync", "syncfs"] = "fsync"
    path_template: str = "{hash[0]}{hash[1]}/{hash[2]}{hash[3]}/{id}/Maildir"


#: what a mailbox is for (RFC 6154)
Use = Literal["drafts", "sent", "trash", "junk", "archive", "none"]


def _mailboxes() -> dict[str, Use]:
    return {"Drafts": "drafts", "Sent": "sent", "Trash": "trash", "Junk": "junk", "Archive": "archive"}


class StoreSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Configuration section `store`."""

    volumes: dict[str, Volume] = {}
    default_volume: str = ""
    #: mailboxes that everybody has besides INBOX, subscribed: name and what mail programs use it for
    mailboxes: dict[str, Use] = msgspec.field(default_factory=_mailboxes)
