"""A foreign store as a whole: its mailboxes with their messages as they will be here. Nothing is changed.

What has no UID yet gets the next ones, by date and name. It may be read again and again: sizes of files are
remembered, so that another look at a store of a million messages lists its folders and no more.
"""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Literal, NamedTuple

from gateway.store.errors import InvalidMailboxName
from gateway.store.flags import FORWARDED, PASSED, letters, words
from gateway.store.foreign import courier, dovecot
from gateway.store.foreign.folders import Folder, folders
from gateway.store.foreign.packing import sizes
from gateway.store.foreign.records import Records, Unreadable
from gateway.store.layout import SEPARATOR, checked_name, split_file, unique_part
from gateway.store.repository import INBOX

Kind = Literal["dovecot", "courier", "maildir"]
_SAFE = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-=+~\\")
_MAX_UKEY = 150


class Message(NamedTuple):
    """A message as it will stand in a store here; `source` is the file that it is now."""

    source: str
    uid: int
    ukey: str
    size: int
    crlf: int
    flags: str
    keywords: str
    uidl: str = ""
    is_packed: bool = False
    name: str = ""

    @property
    def file(self) -> str:
        """Its file's name in cur/."""
        return self.name or f"{self.ukey},S={self.size},W={self.crlf},U={self.uid}:2,{self.flags}"


@dataclass(slots=True)
class Mailbox:
    """A mailbox as it will be here."""

    name: str
    uidvalidity: int
    uidnext: int
    messages: list[Message] = field(default_factory=list)
    #: what it is called there, where that cannot be its name here
    was: str = ""


@dataclass(slots=True)
class _Facts:
    size: int
    crlf: int
    is_packed: bool
    mtime: float


class ForeignStore:
    """The store in the Maildir `root`; Dovecot's control files may lie in another folder of the same shape."""

    def __init__(self, kind: Kind, root: str, control: str = "", uidl: str = dovecot.DEFAULT_UIDL) -> None:
        self.kind = kind
        self.root = root
        self._control = control or root
        self._uidl = uidl
        self._facts: dict[tuple[str, str], _Facts] = {}
        #: entries of cur/ and new/ that are no files, by path
        self.oddities: list[str] = []

    def mailboxes(self, uidvalidity: int) -> list[Mailbox]:
        """All mailboxes; `uidvalidity` is for those that have given no UIDs. Raises Unreadable, OSError."""
        self.oddities = []
        return [self._mailbox(folder, uidvalidity) for folder in folders(self.root)]

    def _records(self, entry: str) -> Records:
        if self.kind == "dovecot":
            return dovecot.read_records(os.path.join(self._control, entry), self._uidl)
        if self.kind == "courier":
            return courier.read_records(os.path.join(self.root, entry))
        return Records()

    def _mailbox(self, folder: Folder, uidvalidity: int) -> Mailbox:
        where = os.path.join(self.root, folder.entry)
        records = self._records(folder.entry)
        # a file that is renamed meanwhile is seen in the later listing
        files = {
            split_file(file)[0]: (place, file)
            for place in ("new", "cur")
            for file in os.listdir(os.path.join(where, place))
            if not file.startswith(".")
        }
        found: list[tuple[int, float, str, str, _Facts]] = []
        taken: set[int] = set()
        for base, (place, file) in files.items():
            path = os.path.join(where, place, file)
            facts = self._file_facts(folder.entry, base, path)
            if facts is None:
                continue
            uid = records.uids.get(base, 0)
            if uid in taken:
                uid = 0
            taken.add(uid)
            found.append((uid or 1 << 32, facts.mtime, base, path, facts))
        found.sort(key=lambda each: each[:3])
        mailbox = Mailbox(folder.name, records.uidvalidity or uidvalidity, records.uidnext)
        mailbox.was = folder.entry if folder.is_renamed else ""
        ukeys: set[str] = set()
        for known, _, base, path, facts in found:
            uid = known
            if uid >> 32:
                uid = mailbox.uidnext
                mailbox.uidnext += 1
            info = split_file(os.path.basename(path))[1]
            keywords = records.keywords_of(base, info)
            if PASSED in info:
                keywords = words(f"{keywords} {FORWARDED}")
            ukey = _ukey(base, ukeys)
            uidl = records.uidls.get(base, "") if folder.name == INBOX else ""
            mailbox.messages.append(
                Message(
                    path, uid, ukey, facts.size, facts.crlf, letters(info), keywords, uidl, facts.is_packed
                )
            )  # fmt: skip
        if mailbox.uidnext >> 32:
            raise Unreadable(f"{where}: no UIDs are left")
        return mailbox

    def _file_facts(self, entry: str, base: str, path: str) -> _Facts | None:
        """None for what is no file, or gone."""
        known = self._facts.get((entry, base))
        if known is None:
            try:
                found = os.lstat(path)
                if not stat.S_ISREG(found.st_mode):
                    self.oddities.append(path)
                    return None
                if not os.access(path, os.R_OK):
                    raise PermissionError(errno.EACCES, f"uid {os.getuid()} may not read it", path)
                known = _Facts(*sizes(path, base, found.st_size), found.st_mtime)
            except FileNotFoundError:
                return None
            self._facts[entry, base] = known
        return known

    def subscriptions(self, mailboxes: list[Mailbox]) -> list[str]:
        """Names subscribed to; all of `mailboxes` where the server has noted nothing. Raises OSError."""
        names: list[str] | None = None
        if self.kind == "dovecot":
            names = dovecot.read_subscriptions(self._control)
        elif self.kind == "courier":
            names = courier.read_subscriptions(self.root)
        if names is None:
            return [mailbox.name for mailbox in mailboxes]
        renamed = {mailbox.was[1:].replace(".", SEPARATOR): mailbox.name for mailbox in mailboxes if mailbox.was}
        found = []
        for name in names:
            try:
                found.append(renamed.get(name) or checked_name(name, may_be_shared=True))
            except InvalidMailboxName:
                continue
        return found


def _ukey(base: str, taken: set[str]) -> str:
    """The unique part of a file's name; another one, made of the name, where it is none here."""
    ukey = unique_part(base)
    if not ukey or len(ukey) > _MAX_UKEY or not _SAFE.issuperset(ukey) or ukey[0] == "." or ukey in taken:
        ukey = f"adopted.{sha256(base.encode('utf-8', 'surrogateescape')).hexdigest()[:32]}"
    taken.add(ukey)
    return ukey
