"""Files that let a store tell its own story: `.gatepost-store`, `.gatepost-account`, `.gatepost-mailbox`, subscriptions.

Each carries a version; one that a newer version wrote is not touched. All are replaced by rename
and on disk on return. Raises OSError, Deferred for a newer version.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from directory.model import Condition, Deferred
from gateway.files.durable import sync_folder, write_synced
from gateway.store.repository import MailboxRow, MessageRow

STORE = ".gatepost-store"
ACCOUNT = ".gatepost-account"
MAILBOX = ".gatepost-mailbox"
SUBSCRIPTIONS = "gatepost-subscriptions"
VERSION = 1
ANNOTATED = 2  # a mailbox with `acl` or `metadata`: versions that do not know these would drop them
MAX_SUBSCRIPTIONS = 10_000
BLOAT_BYTES = 65_536  # `.gatepost-mailbox` is written anew when it is larger than this
BLOAT_LINE = 150  # and so many octets for each message
#: (unique part of the file name, reader, is seen)
Seen: TypeAlias = tuple[str, str, bool]


def replace(path: str, content: bytes) -> None:
    """Give `path` new content in one step."""
    folder, name = os.path.split(path)
    temporary = os.path.join(folder, f".{name.lstrip('.')}.{os.getpid()}.{secrets.token_hex(4)}")
    write_synced(temporary, [content])
    try:
        os.rename(temporary, path)
    except OSError:
        os.unlink(temporary)
        raise
    sync_folder(folder)


def _decoded(path: str, line: bytes) -> dict[str, Any]:
    facts = msgspec.json.decode(line, type=dict[str, Any])
    if facts.get("version", 0) > ANNOTATED:
        raise Deferred(Condition.STORE_UNAVAILABLE, f"{path} was written by a newer version")
    return facts


def read(path: str) -> dict[str, Any] | None:
    """The facts in the first line of a marker; None when there is none or it is damaged."""
    try:
        return _decoded(path, Path(path).read_bytes().partition(b"\n")[0])
    except (FileNotFoundError, NotADirectoryError, msgspec.DecodeError):
        return None


def prepare_volume(path: str | Path) -> None:
    """Mark a mounted volume as one that holds stores; without the mark nothing is created there."""
    marker = os.path.join(path, STORE)
    if not os.path.exists(marker):
        facts = {"version": VERSION, "id": secrets.token_hex(8), "created": int(time.time())}
        replace(marker, msgspec.json.encode(facts) + b"\n")


def check_volume(path: str) -> None:
    """Raises Deferred when the volume is not mounted or was never prepared."""
    try:
        is_there = read(os.path.join(path, STORE)) is not None
    except OSError as error:
        raise Deferred(Condition.STORE_UNAVAILABLE, f"volume {path}: {error}") from error
    if not is_there:
        raise Deferred(Condition.STORE_UNAVAILABLE, f"volume {path} has no {STORE}: not mounted or not prepared")


def write_account(maildir: str, account: str, addresses: Iterable[str]) -> None:
    """Who owns the store; when it was created is kept."""
    path = os.path.join(maildir, ACCOUNT)
    known = read(path) or {}
    replace(path, account_content(account, addresses, known.get("created", int(time.time()))))


def account_content(account: str, addresses: Iterable[str], created: int) -> bytes:
    """What `.gatepost-account` holds."""
    facts = {"version": VERSION, "id": account, "addresses": list(addresses), "created": created}
    return msgspec.json.encode(facts) + b"\n"


def mailbox_content(row: MailboxRow, messages: Iterable[MessageRow] = (), seen: Iterable[Seen] = ()) -> bytes:
    """What `.gatepost-mailbox` holds, see `write_mailbox`."""
    flagged = (message for message in messages if message.flags or message.keywords)
    return b"\n".join([_mailbox_line(row), *map(flag_line, flagged), *map(seen_line, seen), b""])


def _mailbox_line(row: MailboxRow) -> bytes:
    notes = {name: text for name, text in (("acl", row.acl), ("metadata", row.metadata)) if text}
    return msgspec.json.encode({
        "version": ANNOTATED if notes else VERSION,
        "id": row.id,
        "name": row.name,
        "uidvalidity": row.uidvalidity,
        "uidnext": row.uidnext,
        "highestmodseq": row.highestmodseq,
        "special_use": row.special_use,
        **notes,
    })  # fmt: skip


def write_mailbox(folder: str, row: MailboxRow, messages: Iterable[MessageRow], seen: Iterable[Seen] = ()) -> None:
    """Facts of a mailbox, then one line a message that has flags or keywords, and one for each reader for whom it is
    otherwise seen."""
    replace(os.path.join(folder, MAILBOX), mailbox_content(row, messages, seen))


def append_mailbox(folder: str, row: MailboxRow, messages: Iterable[MessageRow], seen: Iterable[Seen] = ()) -> None:
    """New facts of a mailbox, the flags of messages and who has seen them; later lines win. On disk on return."""
    fd = os.open(os.path.join(folder, MAILBOX), os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        size = os.fstat(fd).st_size
        # what a power cut left of a line must not swallow the next one
        start = b"" if not size or os.pread(fd, 1, size - 1) == b"\n" else b"\n"
        noted = [*map(flag_line, messages), *map(seen_line, seen), _mailbox_line(row), b""]
        lines = start + b"\n".join(noted)
        while lines:
            lines = lines[os.write(fd, lines) :]
        os.fsync(fd)
    finally:
        os.close(fd)


def change_facts(folder: str, row: MailboxRow) -> None:
    """New facts of a mailbox; the noted flags stay."""
    try:
        append_mailbox(folder, row, ())
    except FileNotFoundError:
        write_mailbox(folder, row, ())


def is_bloated(folder: str, messages: int) -> bool:
    """True when most lines are older than others about the same message, or there is no file."""
    try:
        return os.stat(os.path.join(folder, MAILBOX)).st_size > BLOAT_BYTES + messages * BLOAT_LINE
    except FileNotFoundError:
        return True


def read_mailbox(folder: str) -> dict[str, Any] | None:
    """The facts of a mailbox as last noted; None when there are none or they are damaged."""
    path = os.path.join(folder, MAILBOX)
    try:
        lines = Path(path).read_bytes().split(b"\n")
    except (FileNotFoundError, NotADirectoryError):
        return None
    for line in reversed(lines):
        if line.startswith(b"{"):
            try:
                return _decoded(path, line)
            except msgspec.DecodeError:
                continue
    return None


def flag_line(message: MessageRow) -> bytes:
    """What a mailbox's marker notes of a message, without line end."""
    return f"{message.ukey}\t{message.flags}\t{message.keywords}".encode()


def read_flags(folder: str) -> dict[str, tuple[str, str]]:
    """{ukey: (flags, keywords)} as last noted; a line that a power cut left half written is left out."""
    found: dict[str, tuple[str, str]] = {}
    try:
        content = Path(folder, MAILBOX).read_bytes()
    except FileNotFoundError:
        return found
    for line in content.split(b"\n")[1:-1]:
        parts = line.decode("utf-8", "replace").split("\t")
        if len(parts) == 3:
            found[parts[0]] = (parts[1], parts[2])
    return found


def seen_line(seen: Seen) -> bytes:
    """What a mailbox's marker notes of what a reader has seen, without line end."""
    ukey, reader, is_seen = seen
    return f"{ukey}\t{'S' if is_seen else ''}\tseen\t{reader}".encode()


def read_seen(folder: str) -> dict[tuple[str, str], bool]:
    """{(ukey, reader): is seen} as last noted."""
    found: dict[tuple[str, str], bool] = {}
    try:
        content = Path(folder, MAILBOX).read_bytes()
    except FileNotFoundError:
        return found
    for line in content.split(b"\n")[1:-1]:
        parts = line.decode("utf-8", "replace").split("\t")
        if len(parts) == 4 and parts[2] == "seen":
            found[parts[0], parts[3]] = parts[1] == "S"
    return found


def read_subscriptions(maildir: str) -> list[str]:
    try:
        lines = Path(maildir, SUBSCRIPTIONS).read_text("utf-8").splitlines()
    except FileNotFoundError:
        return []
    return [line for line in lines[1:] if line]


def write_subscriptions(maildir: str, names: Iterable[str]) -> None:
    ordered = sorted(set(names))[:MAX_SUBSCRIPTIONS]
    replace(os.path.join(maildir, SUBSCRIPTIONS), "\n".join([f"version {VERSION}", *ordered, ""]).encode())
