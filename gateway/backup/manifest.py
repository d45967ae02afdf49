"""What a backup holds: a folder with files and `manifest.json`, which is written last. Format 1.

    manifest.json      what there is, with checksums, owners, versions, and where it was
    files/<n>-<name>   the configuration file and the files that it names (keys, passwords, certificates, profiles)
    state/…            the state folder: databases as one moment had them, the queue, keys
    accounts.tsv       id, path of the store, addresses: a line an account that has a store
    directory/…        entries.ldif and ids.tsv, or what slapcat writes: slapd-0.ldif and slapd-1.ldif
    stores/<n>.tar     what `gatepost store export` writes, with --stores

A folder without manifest.json is no backup: it was cut off. Everything in it is for its owner alone (0700, 0600).
"""

from __future__ import annotations

import contextlib
import grp
import hashlib
import os
import pwd
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

from gateway.files.durable import sync_folder, write_synced

FORMAT = "gatepost-backup"
VERSION = 1
NAME = "manifest.json"
PIECE = 262_144


class BackupProblem(ValueError):
    """It is no backup, it is damaged, or something stands in the way; the message says what."""


class Item(msgspec.Struct, frozen=True, omit_defaults=True):
    """A file of a backup. `path` is in the backup, `place` where it was, absolute; "" for what has no place of its own."""

    path: str
    size: int
    sha256: str
    place: str = ""
    mode: int = 0o600
    owner: str = ""
    group: str = ""


class Manifest(msgspec.Struct, frozen=True):
    """What manifest.json tells."""

    format: str
    version: int
    #: of Gatepost
    gatepost: str
    #: unix time of the state, that of the queue above all
    moment: float
    hostname: str
    #: where the configuration file was
    configuration: str
    state_dir: str
    #: name and path
    volumes: dict[str, str]
    #: whether the service ran: then mail that was queued may have gone out since
    is_running: bool
    #: how many accounts' stores are in it; None: they stay where they are
    stores: int | None
    #: what holds the entries: "ldap", "slapcat" or "none"
    directory: str
    queued: int
    #: format of each database
    databases: dict[str, int]
    items: tuple[Item, ...]


def owner_of(found: os.stat_result) -> tuple[str, str]:
    """Names of owner and group, numbers where they have none."""
    owner, group = str(found.st_uid), str(found.st_gid)
    with contextlib.suppress(KeyError):
        owner = pwd.getpwuid(found.st_uid).pw_name
    with contextlib.suppress(KeyError):
        group = grp.getgrgid(found.st_gid).gr_name
    return owner, group


def pieces(file: BinaryIO, digest: hashlib._Hash) -> Iterator[bytes]:
    """What is in a file, counted into the digest."""
    while piece := file.read(PIECE):
        digest.update(piece)
        yield piece


def digest_of(path: Path) -> tuple[int, str]:
    """(octets, SHA-256) of a file. Raises OSError."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        return sum(map(len, pieces(file, digest))), digest.hexdigest()


class Folder:
    """A backup that is being made. Raises OSError."""

    def __init__(self, top: Path) -> None:
        """Raises BackupProblem where something stands there."""
        top.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(top.iterdir()):
            raise BackupProblem(f"{top} is not empty; a backup wants a folder of its own")
        top.chmod(0o700)
        self.top = top
        self._items: dict[str, Item] = {}
        self._folders: set[str] = {str(top)}

    def _make(self, path: str) -> Path:
        target = self.top / path
        missing = [
            parent for parent in target.relative_to(self.top).parents if str(self.top / parent) not in self._folders
        ]
        for parent in reversed(missing):  # each by itself: folders above one are made with another mode
            (self.top / parent).mkdir(mode=0o700)
            self._folders.add(str(self.top / parent))
        return target

    def write(self, path: str, content: Iterable[bytes]) -> None:
        """A file that is made here."""
        digest = hashlib.sha256()

        def counted() -> Iterator[bytes]:
            for piece in content:
                digest.update(piece)
                yield piece

        size = write_synced(str(self._make(path)), counted())
        self._items[path] = Item(path, size, digest.hexdigest())

    def copy(self, source: Path, path: str, place: str = "") -> bool:
        """A file as it is; False when it is gone."""
        digest = hashlib.sha256()
        try:
            fd = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        with os.fdopen(fd, "rb") as file:
            found = os.fstat(fd)
            size = write_synced(str(self._make(path)), pieces(file, digest), found.st_mtime)
        self._note(path, place, size, digest.hexdigest(), found)
        return True

    def create(self, path: str) -> Path:
        """Where a file is to be made that `add` will count."""
        return self._make(path)

    def add(self, path: str, place: str = "", like: os.stat_result | None = None) -> None:
        """Count a file that was made here, put on disk; with the owner and mode of `like`."""
        target = self.top / path
        fd = os.open(target, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fchmod(fd, 0o600)
            os.fsync(fd)
        finally:
            os.close(fd)
        self._note(path, place, *digest_of(target), like)

    def _note(self, path: str, place: str, size: int, digest: str, found: os.stat_result | None) -> None:
        if found is None:
            self._items[path] = Item(path, size, digest, place)
        else:
            self._items[path] = Item(path, size, digest, place, found.st_mode & 0o7777, *owner_of(found))

    def drop(self, path: str) -> None:
        """Take a file out again."""
        (self.top / path).unlink()
        del self._items[path]

    def names(self, prefix: str) -> list[str]:
        """Files below a folder of the backup."""
        return [path for path in self._items if path.startswith(prefix)]

    def finish(self, manifest: Manifest) -> Manifest:
        """Write the manifest with all items: from now on it is a backup."""
        whole = msgspec.structs.replace(manifest, items=tuple(self._items[path] for path in sorted(self._items)))
        for folder in self._folders:
            sync_folder(folder)
        temporary = str(self.top / f".{NAME}")
        write_synced(temporary, [msgspec.json.format(msgspec.json.encode(whole), indent=1), b"\n"])
        os.rename(temporary, self.top / NAME)
        sync_folder(str(self.top))
        return whole


def read(top: Path) -> Manifest:
    """Raises BackupProblem, OSError."""
    try:
        found = msgspec.json.decode((top / NAME).read_bytes(), type=Manifest)
    except (FileNotFoundError, NotADirectoryError):
        raise BackupProblem(f"{top} is no backup, or was cut off: it has no {NAME}") from None
    except msgspec.MsgspecError as error:
        raise BackupProblem(f"{top / NAME}: {error}") from None
    if found.format != FORMAT or found.version > VERSION:
        raise BackupProblem(f"{top / NAME}: {found.format} {found.version}; this version reads {FORMAT} {VERSION}")
    for item in found.items:
        if item.path.startswith("/") or ".." in item.path.split("/") or "\0" in item.path:
            raise BackupProblem(f"{top / NAME}: {item.path!r} leaves the backup")
    return found


def verify(top: Path, manifest: Manifest) -> list[str]:
    """What is not as the manifest tells, a line each. Raises OSError for what cannot be read."""
    found = []
    for item in manifest.items:
        try:
            if digest_of(top / item.path) != (item.size, item.sha256):
                found.append(f"{item.path}: damaged")
        except FileNotFoundError:
            found.append(f"{item.path}: missing")
    return found
