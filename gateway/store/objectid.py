"""Names that messages and mailboxes keep for their life, wherever they go (RFC 8474). Pure.

A message's EMAILID is made of the unique part of its file's name. COPY and MOVE give the file another name, which
then holds the EMAILID as `,E=`: so it lies beside the octets that it stands for, and outlives the index. A mailbox is
known by its number and UIDVALIDITY, which its marker keeps through every rename.
"""

from __future__ import annotations

import base64
import hashlib
import re

from gateway.store.repository import MailboxRow, MessageRow, NewMessage

_OCTETS = 15  # 24 characters of base32, none of them padding
_KEPT = re.compile(r",E=(m[a-z2-7]{24})(?=,|$)")


def _hashed(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()[:_OCTETS]
    return base64.b32encode(digest).decode().lower()


def email_id_in(name: str) -> str:
    """The EMAILID that a file's name holds; "" where it is made of the name itself."""
    found = _KEPT.search(name)
    return found[1] if found else ""


def email_id(row: MessageRow) -> str:
    """The EMAILID: the same for all copies of a message, for no other message."""
    return email_id_in(row.name) or "m" + _hashed(row.ukey)


def mailbox_id(account: str, row: MailboxRow) -> str:
    """The MAILBOXID: no other mailbox has it, nor one that is made under its name later."""
    return "f" + _hashed(f"{account}\0{row.id}\0{row.uidvalidity}")


def copy_of(row: MessageRow, ukey: str) -> NewMessage:
    """A message as it is placed again, by COPY or MOVE, under a new name."""
    return NewMessage(
        ukey, row.size, row.crlf, row.internaldate, row.recipient, row.flags, row.keywords, email=email_id(row)
    )
