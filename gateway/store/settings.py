"""Where stores lie and how durable they are (configuration section `store`)."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from directory.model.units import Count, Seconds, Size

Threads = Annotated[int, msgspec.Meta(ge=1, le=64)]


class Volume(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file system that holds stores."""

    #: folder at the top of the volume; it must hold the file .gatepost-store
    path: str
    #: fsync (each file, the right one for shared storage) or syncfs (one for all that wait, on a disk of its own)
    durability: Literal["fsync", "syncfs"] = "fsync"
    #: where an account's Maildir lies below the volume; computed once, then kept
    path_template: str = "{hash[0]}{hash[1]}/{hash[2]}{hash[3]}/{id}/Maildir"


#: what a mailbox is for (RFC 6154)
Use = Literal["drafts", "sent", "trash", "junk", "archive", "none"]


def _mailboxes() -> dict[str, Use]:
    return {"Drafts": "drafts", "Sent": "sent", "Trash": "trash", "Junk": "junk", "Archive": "archive"}


class SearchSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Files that make searches of texts quick; they are built of the messages, and searches find the same without."""

    #: for whom they are built: used (whoever has searched a text), all, or none
    accounts: Literal["used", "all", "none"] = "used"
    #: characters of a message's text; one that has more is looked into at each search
    max_text: Count = 2_000_000
    #: octets of one account's file; messages beyond are looked into at each search
    max_file: Size = 1 << 30


class StoreSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Configuration section `store`."""

    volumes: dict[str, Volume] = {}
    #: where new accounts go that name no volume; "" = the first one
    default_volume: str = ""
    #: threads that wait for one volume's files, in each worker
    threads: Threads = 8
    #: calls that may wait for a thread before more are answered "try again later"
    waiting: Count = 1000
    #: a file call that takes longer is answered "try again later"; half of the threads so late: the volume is down
    deadline: Seconds = 60.0
    #: how often all stores are looked through for files that came without notice, and flags are noted beside them
    sweep: Seconds = 300.0
    #: mailboxes that everybody has besides INBOX, subscribed: name and what mail programs use it for
    mailboxes: dict[str, Use] = msgspec.field(default_factory=_mailboxes)
    #: how long expunged messages are kept for `gatepost undelete`, beside the mailboxes and without counting for quota;
    #: 0 = not at all
    keep_expunged: Seconds = 0.0
    search: SearchSettings = SearchSettings()
    #: what is expunged by itself so long after it came into a mailbox of that use: {trash: 30d, junk: 14d}
    expire: dict[Literal["drafts", "sent", "trash", "junk", "archive"], Seconds] = {}
