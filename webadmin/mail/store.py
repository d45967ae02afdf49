"""A person's mail store, asked over IMAP: mailboxes, what is in one, messages.

A mailbox's name is text here; UTF-7 stays on the wire. What the server refuses is told in three ways: `NoSuchMailbox`,
`NotPossible` with the server's words, `Unavailable` where it may work later.
"""

from __future__ import annotations

import contextlib
import imaplib
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

from flask import abort, current_app
from imapclient import IMAPClient
from imapclient.exceptions import IMAPClientAbortError, IMAPClientError
from imapclient.imap_utf7 import decode as from_utf7
from imapclient.imap_utf7 import encode as to_utf7
from werkzeug.exceptions import HTTPException

from webadmin.backend import NotPossible, Unavailable
from webadmin.client import client_address
from webadmin.mail.answers import Piece, Value, messages, number, octets, pairs, values
from webadmin.mail.connections import Mailboxes
from webadmin.person import person, trusted_proxies

MAX_NAME = 1000  # octets of a mailbox's name
MAX_MESSAGES = 100_000  # of one search
MAX_IN_SET = 2000  # messages named in one command; a line has 64 KiB at most
_CODE = re.compile(r"\[([A-Z-]+)[^\]]*\]\s*")
_SAID = re.compile(r"(?:NO|BAD) \[b['\"](.*)['\"]\]")
_TEMPORARY = ("UNAVAILABLE", "SERVERBUG", "INUSE", "EXPUNGEISSUED")


class NoSuchMailbox(Exception):
    """There is none of this name that the person may see."""


def quoted(text: bytes) -> bytes:
    """A quoted string, for text without line ends and eight-bit octets."""
    return b'"' + text.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def wire_name(mailbox: str) -> bytes:
    """A mailbox's name as it is sent. Raises NoSuchMailbox for what can be none."""
    if not mailbox or any(ord(each) < 32 or ord(each) == 127 for each in mailbox):
        raise NoSuchMailbox(mailbox)
    name: bytes = to_utf7(mailbox)
    if len(name) > MAX_NAME:
        raise NoSuchMailbox(mailbox)
    return quoted(name)


def shown_name(name: bytes) -> str:
    """A mailbox's name as it came."""
    text: str = from_utf7(name)
    return text


def uid_set(uids: Iterable[int]) -> bytes:
    """A sequence set; neighbours in the order that is given become a range."""
    parts: list[list[int]] = []
    for uid in uids:
        if parts and uid == parts[-1][1] + 1:
            parts[-1][1] = uid
        else:
            parts.append([uid, uid])
    return b",".join([b"%d" % low if low == high else b"%d:%d" % (low, high) for low, high in parts])


def uid_sets(uids: Collection[int]) -> list[bytes]:
    """Sequence sets for any number of messages, each short enough for a command's line."""
    ordered = sorted(uids)
    return [uid_set(ordered[at : at + MAX_IN_SET]) for at in range(0, len(ordered), MAX_IN_SET)]


class Store:
    """One connection, for one request."""

    def __init__(self, client: IMAPClient) -> None:
        self._client = client
        self._imap: Any = client._imap

    def ask(self, name: bytes, *arguments: bytes) -> dict[str, list[Piece]]:
        """Send a command; what the server says, by kind. An argument with eight-bit octets goes as a literal.

        Raises NoSuchMailbox, NotPossible, Unavailable; OSError and imaplib's abort when the connection is lost.
        """
        self._imap.untagged_responses.clear()
        kind, data = self._client._raw_command(name, list(arguments), uid=False)
        answered: dict[str, list[Piece]] = dict(self._imap.untagged_responses)
        self._imap.untagged_responses.clear()
        if kind == "OK":
            return answered
        text = b" ".join(piece for piece in data if isinstance(piece, bytes)).decode("utf-8", "replace")
        code = _CODE.match(text)
        if code and code[1] in ("NONEXISTENT", "TRYCREATE"):
            raise NoSuchMailbox(text)
        if code and code[1] in _TEMPORARY:
            raise Unavailable("imap", _CODE.sub("", text))
        raise NotPossible(_CODE.sub("", text))

    def select(self, mailbox: str) -> None:
        """Look at a mailbox; what came since it was looked at last is there. Raises as `ask`."""
        name = wire_name(mailbox)
        if self._client.gatepost_selected == name:
            self.ask(b"NOOP")
            return
        self._client.gatepost_selected = None
        try:
            self.ask(b"SELECT", name)
        except NotPossible as error:  # no name, or not for him: to him it is not there
            raise NoSuchMailbox(mailbox) from error
        self._imap.state = "SELECTED"
        self._client.gatepost_selected = name

    def forget_selected(self) -> None:
        """The mailbox that was looked at has another name now, or is gone."""
        if self._client.gatepost_selected is not None:
            self._client.gatepost_selected = None
            self.ask(b"UNSELECT")

    def fetch(self, uids: Sequence[int], items: bytes) -> dict[int, dict[bytes, Value]]:
        """The items of messages by UID; those that are gone are not in it."""
        found: dict[int, dict[bytes, Value]] = {}
        for part in uid_sets(uids):
            for message in messages(self.ask(b"UID FETCH", part, items).get("FETCH", [])):
                uid = number(message.get(b"UID"))
                if uid:
                    found.setdefault(uid, {}).update(message)
        return found

    def search(self, keys: Sequence[bytes], first: int, count: int, order: bytes) -> tuple[list[int], int]:
        """`count` UIDs from the place `first` (from 0), in this order, and how many there are in all."""
        part = b"PARTIAL %d:%d" % (first + 1, first + count)
        answered = self.ask(b"UID SORT RETURN", b"(COUNT " + part + b")", order, b"UTF-8", *keys)
        table = _extended(answered)
        shown = table.get(b"PARTIAL")
        found = octets(shown[1]) if isinstance(shown, list) and len(shown) > 1 else b""
        return _uids(found)[:count], number(table.get(b"COUNT"))

    def threads(self) -> bytes:
        """The conversations of the mailbox, as the server says them."""
        said = self.ask(b"UID THREAD", b"REFS", b"UTF-8", b"ALL").get("THREAD", [])
        return b"".join(piece for piece in said if isinstance(piece, bytes))

    def append(self, mailbox: str, message: bytes) -> None:
        """Put a message into a mailbox, with CRLF at the end of each line. Raises NotPossible, NoSuchMailbox."""
        wire_name(mailbox)
        text = message.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        try:
            self._client.append(mailbox, text)
        except IMAPClientAbortError:
            raise
        except IMAPClientError as error:  # NO, or BAD for what is no message
            found = _SAID.search(str(error))
            raise NotPossible(_CODE.sub("", found[1]) if found else str(error)) from error

    def uids(self, keys: Sequence[bytes]) -> list[int]:
        """All UIDs that are found, ascending, at most MAX_MESSAGES."""
        table = _extended(self.ask(b"UID SEARCH RETURN", b"(ALL)", b"CHARSET UTF-8", *keys))
        return _uids(octets(table.get(b"ALL")))


def _extended(answered: dict[str, list[Piece]]) -> dict[bytes, Value]:
    """What an ESEARCH answer says by name (RFC 4731 3.1)."""
    found = values(answered.get("ESEARCH", []))
    while found and (isinstance(found[0], list) or found[0] == b"UID"):
        found.pop(0)
    return pairs(found)


def _uids(text: bytes) -> list[int]:
    """The numbers of a sequence set, in its order."""
    found: list[int] = []
    for part in text.split(b","):
        low, _, high = part.partition(b":")
        if not low.isdigit():
            continue
        if not high.isdigit():
            found.append(int(low))
            continue
        start, end = int(low), int(high)
        step = 1 if end >= start else -1
        if abs(end - start) + len(found) > MAX_MESSAGES:
            end = start + step * (MAX_MESSAGES - len(found))
        found.extend(range(start, end + step, step))
    return found


@contextlib.contextmanager
def opened(mailbox: str | None = None) -> Iterator[Store]:
    """The store of whoever is logged in, looking at `mailbox`. A mailbox that is not there is answered 404.

    Raises NotPossible, Unavailable, SessionEnded.
    """
    who = person()
    if not (who.uses("webmail") and who.uses("imap")):
        abort(403)
    mailboxes: Mailboxes = current_app.extensions["gatepost_mailboxes"]
    refused: Exception | None = None
    with mailboxes.of(who, client_address(trusted_proxies())) as client:
        try:
            store = Store(client)
            if mailbox is not None:
                store.select(mailbox)
            yield store
        except imaplib.IMAP4.abort as error:
            raise OSError(str(error)) from error  # the connection is not used again
        except (NoSuchMailbox, NotPossible, HTTPException) as error:
            refused = error  # the answer was NO: the connection is as good as before
    if isinstance(refused, NoSuchMailbox):
        abort(404)
    if refused is not None:
        raise refused
