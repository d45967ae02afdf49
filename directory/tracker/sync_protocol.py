"""The controls of content synchronisation (RFC 4533) as octets. Pure."""

from __future__ import annotations

import re
import uuid
from typing import NamedTuple

from directory.ber import tlv

SYNC_REQUEST = "1.3.6.1.4.1.4203.1.9.1.1"
SYNC_STATE = "1.3.6.1.4.1.4203.1.9.1.2"
SYNC_DONE = "1.3.6.1.4.1.4203.1.9.1.3"
SYNC_INFO = "1.3.6.1.4.1.4203.1.9.1.4"
E_SYNC_REFRESH_REQUIRED = 4096

REFRESH_ONLY, REFRESH_AND_PERSIST = 1, 3
PRESENT, ADD, MODIFY, DELETE = 0, 1, 2, 3

_CSN = re.compile(rb"csn=([^,]+)")


class SyncFormat(ValueError):
    """The server sent something that is no RFC 4533 value."""


def elements(data: bytes) -> list[tuple[int, bytes]]:
    """The BER elements of `data` as (tag, content). Raises SyncFormat."""
    found, position = [], 0
    while position < len(data):
        if position + 2 > len(data):
            raise SyncFormat("an element is cut off")
        tag, length = data[position], data[position + 1]
        position += 2
        if length & 0x80:
            count = length & 0x7F
            if not 0 < count <= 4 or position + count > len(data):
                raise SyncFormat("an element's length is wrong")
            length = int.from_bytes(data[position : position + count], "big")
            position += count
        if position + length > len(data):
            raise SyncFormat("an element is longer than its message")
        found.append((tag, data[position : position + length]))
        position += length
    return found


def sync_request(mode: int, cookie: bytes | None) -> tuple[str, bool, bytes]:
    """The Sync Request control (RFC 4533 2.2)."""
    body = tlv(0x0A, bytes((mode,))) + (tlv(0x04, cookie) if cookie else b"")
    return (SYNC_REQUEST, True, tlv(0x30, body))


class EntryState(NamedTuple):
    """Sync State control of one entry (RFC 4533 2.3)."""

    state: int
    uuid: str
    cookie: bytes | None


def _uuid(octets: bytes) -> str:
    if len(octets) != 16:
        raise SyncFormat("a syncUUID has 16 octets")
    return str(uuid.UUID(bytes=octets))


def entry_state(value: bytes) -> EntryState:
    """Decode a Sync State control. Raises SyncFormat."""
    outer = elements(value)
    parts = elements(outer[0][1]) if outer else []
    if len(parts) < 2 or len(parts[0][1]) != 1:
        raise SyncFormat("Sync State control without state and entryUUID")
    return EntryState(parts[0][1][0], _uuid(parts[1][1]), parts[2][1] if len(parts) > 2 else None)


def done_cookie(value: bytes) -> bytes | None:
    """The cookie in a Sync Done control (RFC 4533 2.4). Raises SyncFormat."""
    outer = elements(value)
    for tag, content in elements(outer[0][1]) if outer else []:
        if tag == 0x04:
            return content
    return None


class Info(NamedTuple):
    """One Sync Info message (RFC 4533 2.5)."""

    cookie: bytes | None = None
    #: the refresh is complete
    done: bool = False
    #: refreshPresent: ids that were not named are gone
    present_phase: bool = False
    #: a syncIdSet and whether it names deletions
    ids: tuple[str, ...] = ()
    ids_deleted: bool = False


def sync_info(value: bytes) -> list[Info]:
    """Decode Sync Info messages. Raises SyncFormat."""
    found = []
    for tag, content in elements(value):
        if tag == 0x80:  # newcookie
            found.append(Info(cookie=content))
            continue
        parts = elements(content)
        cookie = next((part for kind, part in parts if kind == 0x04), None)
        flag = next((part for kind, part in parts if kind == 0x01), None)
        if tag == 0xA3:  # syncIdSet: refreshDeletes is FALSE by default
            ids = tuple(_uuid(octets) for kind, part in parts if kind == 0x31 for _, octets in elements(part))
            found.append(Info(cookie, ids=ids, ids_deleted=flag is not None and flag != b"\0"))
        elif tag in (0xA1, 0xA2):  # refreshDelete, refreshPresent: refreshDone is TRUE by default
            found.append(Info(cookie, done=flag is None or flag != b"\0", present_phase=tag == 0xA2))
    return found


def change_numbers(values: list[bytes]) -> dict[bytes, bytes]:
    """Change sequence numbers by server id; a number starts with its time in fixed width, so octets order it."""
    found: dict[bytes, bytes] = {}
    for value in values:
        parts = value.split(b"#")
        server = parts[2] if len(parts) == 4 else b""
        found[server] = max(value, found.get(server, b""))
    return found


def told(cookie: bytes | None) -> dict[bytes, bytes]:
    """The change numbers in an OpenLDAP cookie (`rid=000,csn=A;B`)."""
    match = _CSN.search(cookie or b"")
    return change_numbers(match[1].split(b";")) if match else {}
