"""The drop folder: mail that programs of this host leave while the service is down.

    gatepost-drop 1 <octets of the envelope block>\n
    <envelope block: one JSON object>\n
    <message: header and body, LF line ends>

A file counts from its rename on, when its name no longer begins with a dot; it is on disk by then. Everybody may
write into the folder and nobody else may list it, so its content is judged as what a stranger wrote: who left a file
is asked of the file system.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import os
import secrets
import stat
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from directory.model import InvalidAddress, canonical_address

MAGIC = b"gatepost-drop"
VERSION = 1
ORIGIN = "origin"  # beside the folder: the domain of addresses without one
MAX_BLOCK = 1 << 20
MAX_RECIPIENTS = 10_000
HALF_WRITTEN_SECONDS = 86400.0


class DropEnvelope(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The envelope block. Addresses without a domain are completed by the reader; `return_path` "" is `<>`."""

    return_path: str
    recipients: tuple[str, ...]
    parameters: dict[str, str] = {}


class NotTaken(ValueError):
    """A file that is no mail; the message says why."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """What was left. `id` is made from what the writer cannot choose; `uid` is his, from the file system."""

    path: str
    id: str
    uid: int
    left_at: float
    envelope: DropEnvelope
    content: bytes


def leave(folder: Path, envelope: DropEnvelope, pieces: Sequence[bytes]) -> None:
    """Leave a message, on disk when it returns. Raises OSError."""
    name = f"{int(time.time())}.{secrets.token_hex(16)}"
    block = msgspec.json.encode(envelope)
    temporary = folder / f".{name}"
    opened = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o640)
    try:
        # the folder's group, which the service is a member of, whatever the umask says
        os.fchmod(opened, 0o640)
        with os.fdopen(opened, "wb", closefd=False) as file:
            file.write(b"%s %d %d\n%s\n" % (MAGIC, VERSION, len(block), block))
            file.writelines(pieces)
        os.fsync(opened)
        os.rename(temporary, folder / name)
        _sync_names(opened)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    finally:
        os.close(opened)


def _sync_names(opened: int) -> None:
    """The folder cannot be opened by who may only write into it: its whole file system is synced."""
    if ctypes.CDLL(None, use_errno=True).syncfs(opened):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def names(folder: Path, now: float) -> Iterator[str]:
    """Complete files, the oldest first; what a killed writer left half written is removed after a day."""
    found = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if not entry.name.startswith("."):
                found.append(entry.name)
                continue
            with contextlib.suppress(OSError):
                if entry.stat(follow_symlinks=False).st_mtime < now - HALF_WRITTEN_SECONDS:
                    os.unlink(entry.path)
    return iter(sorted(found))


def read(folder: Path, name: str, max_size: int) -> Dropped:
    """One file. Raises NotTaken, OSError."""
    path = os.path.join(folder, name)
    try:
        opened = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise NotTaken(f"{name}: {error.strerror}") from error
    with os.fdopen(opened, "rb") as file:
        facts = os.fstat(opened)
        if not stat.S_ISREG(facts.st_mode) or facts.st_nlink != 1:
            raise NotTaken(f"{name}: not a file of one name")
        if facts.st_size > max_size + MAX_BLOCK:
            raise NotTaken(f"{name}: larger than smtp.max_message_size")
        words = file.readline(64).split()
        if len(words) != 3 or words[0] != MAGIC or words[1] != b"%d" % VERSION or not words[2].isdigit():
            raise NotTaken(f"{name}: not written by gatepost sendmail of this version")
        if int(words[2]) > MAX_BLOCK:
            raise NotTaken(f"{name}: too long an envelope")
        try:
            envelope = msgspec.json.decode(file.read(int(words[2])), type=DropEnvelope)
        except msgspec.MsgspecError as error:
            raise NotTaken(f"{name}: {error}") from error
        file.read(1)
        content = file.read(max_size + 1)
    if len(content) > max_size or not 0 < len(envelope.recipients) <= MAX_RECIPIENTS:
        raise NotTaken(f"{name}: too large, or the wrong number of recipients")
    own = f"{name} {facts.st_ino} {facts.st_uid} {facts.st_mtime_ns}"
    digest = hashlib.sha256(own.encode("utf-8", "surrogateescape")).hexdigest()[:24]
    return Dropped(path, f"{int(facts.st_mtime)}.D{digest}", facts.st_uid, facts.st_mtime, envelope, content)


def completed(address: str, origin: str) -> str:
    """`address` with the domain that belongs to one without. Raises InvalidAddress."""
    full = address if "@" in address else f"{address}@{origin}"
    if any(c <= " " or c in "<>\x7f" for c in full):
        raise InvalidAddress(f"{address!r} is not an address")
    canonical_address(full)
    return full
