"""Labels: keywords of messages (RFC 9051 2.3.2), named in any script.

A label's spaces become `_` and what is not ASCII is written as in names of mailboxes (RFC 3501 5.1.3), since a keyword is an
atom. Keywords that mail programs use for themselves are no labels; Thunderbird's five have the names that it gives them.
"""

from __future__ import annotations

import binascii
import re

from flask_babel import gettext
from imapclient.imap_utf7 import decode, encode

from webadmin.mail.addresses import clean
from webadmin.mail.answers import Value, words

MAX_LABEL = 40  # characters
_ATOM = re.compile(rb"[!#$&'+,\-./0-9:;<=>?@A-Z^_`a-z|~\[]{1,200}\Z")
_OWN = frozenset(("junk", "nonjunk", "notjunk", "forwarded", "redirected", "mdnsent", "receipthandled"))


def _known() -> dict[str, str]:
    return {
        "$label1": gettext("Important"), "$label2": gettext("Work"), "$label3": gettext("Personal"),
        "$label4": gettext("To do"), "$label5": gettext("Later"),
    }  # fmt: skip


def keyword_of(label: str) -> bytes | None:
    """The keyword of a label; None for what can be none."""
    label = clean(label)
    for keyword, name in _known().items():
        if label.casefold() == name.casefold():
            return keyword.encode()
    if not label or len(label) > MAX_LABEL or label[0] in "$\\":
        return None
    encoded: bytes = encode(label.replace(" ", "_"))
    return encoded if _ATOM.match(encoded) else None


def labels_of(flags: Value) -> list[str]:
    """The labels among a message's flags."""
    found = []
    for flag in words(flags):
        if flag.startswith(b"\\"):
            continue
        if flag.startswith(b"$"):
            name = _known().get(flag.decode("ascii", "replace").lower()) if flag[:6].lower() == b"$label" else None
            if name:
                found.append(name)
            continue
        try:
            text = str(decode(flag))
        except (ValueError, binascii.Error):
            text = flag.decode("ascii", "replace")
        if text.lower() not in _OWN:
            found.append(clean(text.replace("_", " ")))
    return found
