"""`gatepost-uidls`: POP3 unique-ids that another server gave to messages of INBOX, beside the Maildir.

`version 1 <uidvalidity>`, then a line a message: UID, tab, unique-id. A message that is not named has that of every
store here, `%08Xu%08Xv`. Written once, when the store is taken over. Raises OSError.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from gateway.store import markers

FILE = "gatepost-uidls"


def uidl(uid: int, uidvalidity: int) -> str:
    """What a message is called that came in here."""
    return f"{uid:08X}u{uidvalidity:08X}v"


def write(maildir: str, uidvalidity: int, uidls: Mapping[int, str]) -> None:
    """Keep unique-ids that differ from what the messages would be called; each counts once."""
    kept: dict[str, int] = {}
    for uid, told in uidls.items():
        kept.setdefault(told, uid)
    own = {uidl(uid, uidvalidity): uid for uid in uidls}
    lines = [
        f"{uid}\t{told}" for told, uid in kept.items() if told != uidl(uid, uidvalidity) and own.get(told, uid) == uid
    ]
    if lines:
        markers.replace(os.path.join(maildir, FILE), "\n".join([f"version 1 {uidvalidity}", *lines, ""]).encode())


def content(maildir: str) -> bytes:
    """The file as it is; empty without one."""
    try:
        return Path(maildir, FILE).read_bytes()
    except FileNotFoundError:
        return b""


def read(maildir: str, uidvalidity: int) -> dict[int, str]:
    """Unique-ids by UID; none where the mailbox is another one now."""
    head, *lines = content(maildir).decode("ascii", "replace").split("\n")
    if head != f"version 1 {uidvalidity}":
        return {}
    pairs = (line.partition("\t") for line in lines)
    return {int(uid): told for uid, _, told in pairs if uid.isdecimal() and told}
