"""The full text of an account's messages, in a file of its own beside the index: which messages may hold a text.

It names candidates and never decides: of a message it says "not in there" or "perhaps". Whoever asks looks into those
that remain, and into those that the file does not know, so that a search finds with it what it finds without. All of it
is made of the messages and may be deleted at any time: a file that is damaged, or was made by another version, counts as
none and is made anew by whoever builds.

Texts are cut into runs of three characters; scripts without spaces between words (Chinese, Japanese, Thai and what
stands behind them in Unicode) into one and two as well, so that their short words are found.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import itertools
import os
import re
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from directory.model import Condition, Deferred
from gateway.files.database import use_wal

FORMAT = 2  # rises too when the text that is made of a message changes
GRAM = 3
MAX_GRAMS = 16  # of a text that is looked for; those left out only make more candidates
MIN_DEAD = 1_000  # messages that are gone, until the file is made anew for them
NOT_KEPT = 0  # a message that was looked at and is not in the file
_BUSY_SECONDS = 10.0
_WIDE = re.compile("[\u0e00-\U0010ffff]+")
#: errors of SQLite that tell of trouble around the file, not in it
_PASSING = frozenset(
    {
        sqlite3.SQLITE_PERM, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN,
    }
)  # fmt: skip
_TABLES = (
    "CREATE TABLE doc (id INTEGER PRIMARY KEY, email TEXT NOT NULL UNIQUE)",
    "CREATE TABLE place (mailbox INTEGER NOT NULL, uid INTEGER NOT NULL, doc INTEGER NOT NULL, "
    "PRIMARY KEY (mailbox, uid)) WITHOUT ROWID",
    "CREATE TABLE mailbox (id INTEGER PRIMARY KEY, uidvalidity INTEGER NOT NULL, modseq INTEGER NOT NULL DEFAULT 0, "
    "pass_modseq INTEGER NOT NULL DEFAULT 0, pass_uid INTEGER NOT NULL DEFAULT 0)",
    "CREATE VIRTUAL TABLE grams USING fts5"
    "(text, tokenize='trigram case_sensitive 1', content='', detail=none, columnsize=0)",
    "CREATE VIRTUAL TABLE wide USING fts5(text, tokenize='ascii', content='', detail=none, columnsize=0)",
)


class Damaged(Exception):
    """The file cannot be used."""


@dataclass(frozen=True, slots=True)
class Answer:
    """`known`: UIDs of messages whose text is in the file; `holding`: for each text those that may hold it.

    A text that the file cannot answer for, because it is too short, is not in `holding`.
    """

    known: Collection[int]
    holding: dict[str, Collection[int]]


class Progress(NamedTuple):
    """Up to where a mailbox is in the file: all changes up to `modseq`; of those up to `pass_modseq`, if it is not 0,
    the UIDs up to `pass_uid`."""

    modseq: int
    pass_modseq: int
    pass_uid: int


class Kept(NamedTuple):
    """A message for the file. `text` None: not its text, only that it was looked at."""

    uid: int
    email: str
    text: str | None


@dataclass(frozen=True, slots=True)
class State:
    """What a file holds: messages, octets on disk."""

    messages: int
    octets: int


def _clean(text: str) -> str:
    """As it is handed to SQLite, which ends a text at NUL. Character by character, so what is part of it stays so."""
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", "\1")


def _wide_grams(text: str) -> set[str]:
    found: set[str] = set()
    for run in _WIDE.findall(text):
        found.update(run)
        found.update(map("".join, itertools.pairwise(run)))
    return found


def _quoted(grams: Sequence[str]) -> str:
    step = -(-len(grams) // MAX_GRAMS)
    return " AND ".join('"{}"'.format(gram.replace('"', '""')) for gram in grams[::step])


def _questions(needle: str) -> list[tuple[str, str]]:
    """(table, what to match): a message with the text has all of it. Empty where it is too short to say anything."""
    text = _clean(needle)
    if len(text) >= GRAM:
        return [("grams", _quoted([text[at : at + GRAM] for at in range(len(text) - GRAM + 1)]))]
    grams = sorted(_wide_grams(text), key=len, reverse=True)
    return [("wide", _quoted(grams[:1] if len(text) == len(grams[0]) else grams))] if grams else []


class SearchFiles:
    """The files of all accounts of a host, in one folder. Each call opens what it needs and closes it; any thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._wishes = folder / "wishes"

    @staticmethod
    def name(account: str) -> str:
        """What the file of an account is called."""
        return hashlib.sha256(account.encode()).hexdigest()[:32]

    def path(self, account: str) -> Path:
        return self._folder / f"{self.name(account)}.db"

    def exists(self, account: str) -> bool:
        """True when something was built for an account."""
        return self.path(account).exists()

    # wishes

    def wish(self, account: str) -> None:
        """Ask whoever builds to bring an account's file up to date soon. Best effort."""
        try:
            self._wishes.mkdir(mode=0o700, parents=True, exist_ok=True)
            wish = self._wishes / self.name(account)
            if not wish.exists():
                wish.write_text(account, encoding="utf-8")
        except OSError:
            pass  # the next search asks again

    def wished(self) -> list[str]:
        """Accounts that were asked for."""
        found = []
        try:
            for path in sorted(self._wishes.iterdir()):
                account = path.read_text(encoding="utf-8", errors="replace")
                if path.name == self.name(account):
                    found.append(account)
                else:
                    path.unlink(missing_ok=True)  # cut off when it was written
        except FileNotFoundError:
            pass
        return found

    def fulfilled(self, account: str) -> None:
        """Nobody waits for this account's file any more. Raises OSError."""
        (self._wishes / self.name(account)).unlink(missing_ok=True)

    # files

    def candidates(self, account: str, mailbox: int, uidvalidity: int, needles: Collection[str]) -> Answer:
        """What is known of the texts (folded) in a mailbox; nothing where the file is none, damaged, or in use too long."""
        nothing = Answer((), {})
        if not self.exists(account):
            return nothing
        try:
            with self._opened(account, makes=False) as db:
                db.execute("BEGIN")  # all of it as of one instant, whatever is added meanwhile
                row = db.execute("SELECT uidvalidity FROM mailbox WHERE id=?", (mailbox,)).fetchone()
                if row is None or row[0] != uidvalidity:
                    return nothing
                holding: dict[str, Collection[int]] = {}
                for needle in needles:
                    for table, wanted in _questions(needle):
                        holding[needle] = {
                            uid
                            for (uid,) in db.execute(
                                f"SELECT uid FROM place WHERE mailbox=? AND doc IN (SELECT rowid FROM {table} WHERE {table} MATCH ?)",
                                (mailbox, wanted),
                            )
                        }
                places = db.execute("SELECT uid FROM place WHERE mailbox=? AND doc<>0", (mailbox,)) if holding else ()
                known = {uid for (uid,) in places}
        except Damaged:
            with contextlib.suppress(Deferred):
                self.remove(account)  # so that it is made anew
            return nothing
        except Deferred:
            return nothing
        return Answer(known, holding)

    def state(self, account: str) -> State | None:
        """What the file of an account holds; None when there is none, or none that can be used. Raises Deferred."""
        if not self.exists(account):
            return None
        try:
            with self._opened(account, makes=False) as db:
                count = db.execute("SELECT count(*) FROM place WHERE doc<>0").fetchone()[0]
        except Damaged:
            return None
        return State(count, self.octets(account))

    def octets(self, account: str) -> int:
        """Octets of an account's file on disk."""
        return sum(
            os.path.getsize(path)
            for suffix in ("", "-wal")
            if os.path.exists(path := f"{self.path(account)}{suffix}")
        )  # fmt: skip

    @contextmanager
    def building(self, account: str) -> Iterator[SearchBuild]:
        """The account's file, to add to it; made where there is none. Raises Damaged, Deferred."""
        with self._opened(account, makes=True) as db:
            yield SearchBuild(db)

    def remove(self, account: str) -> None:
        """Forget an account's file. Waits for those who have it open. Raises Deferred."""
        self._remove(self.name(account))

    def keep_only(self, names: Collection[str]) -> None:
        """Forget the files of all accounts but those that are called so. Raises Deferred."""
        try:
            found = {entry.partition(".")[0] for entry in os.listdir(self._folder) if entry.endswith(".db")}
        except FileNotFoundError:
            return
        for name in found.difference(names):
            self._remove(name)

    def _remove(self, name: str) -> None:
        try:
            with self._locked(fcntl.LOCK_EX):
                for suffix in (".db", ".db-wal", ".db-shm"):
                    (self._folder / f"{name}{suffix}").unlink(missing_ok=True)
        except OSError as error:
            raise Deferred(Condition.STORE_UNAVAILABLE, f"search file {name}: {error}") from error

    def _forget_log(self, account: str) -> None:
        """Remove what is left of a file that was removed by hand: SQLite would take it for the new one's."""
        if not self.exists(account):
            for suffix in ("-wal", "-shm"):
                Path(f"{self.path(account)}{suffix}").unlink(missing_ok=True)

    @contextmanager
    def _locked(self, kind: int) -> Iterator[None]:
        """A database must not be removed while somebody has it open: SQLite would mix the old with the new."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, kind)
            yield
        finally:
            os.close(descriptor)

    @contextmanager
    def _opened(self, account: str, *, makes: bool) -> Iterator[sqlite3.Connection]:
        try:
            if makes and not self.exists(account):
                with self._locked(fcntl.LOCK_EX):
                    self._forget_log(account)
            with self._locked(fcntl.LOCK_SH):
                if not makes and not self.exists(account):
                    raise Damaged("there is none")
                db = sqlite3.connect(self.path(account), isolation_level=None, timeout=_BUSY_SECONDS)
                with closing(db):
                    _prepare(db, makes=makes)
                    yield db
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
            if code in _PASSING:
                raise Deferred(Condition.STORE_UNAVAILABLE, f"search file of {account}: {error}") from error
            raise Damaged(f"search file of {account}: {error}") from error
        except OSError as error:
            raise Deferred(Condition.STORE_UNAVAILABLE, f"search file of {account}: {error}") from error


def _prepare(db: sqlite3.Connection, *, makes: bool) -> None:
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if makes:
        use_wal(db)
        db.execute("PRAGMA synchronous=NORMAL")
        if not version:
            db.execute("BEGIN EXCLUSIVE")
            version = db.execute("PRAGMA user_version").fetchone()[0]
            if not version:
                for statement in _TABLES:
                    db.execute(statement)
                version = FORMAT
                db.execute(f"PRAGMA user_version={FORMAT}")
            db.execute("COMMIT")
    else:
        db.execute("PRAGMA query_only=1")
    if version != FORMAT:
        raise Damaged(f"format {version}, known {FORMAT}")


class SearchBuild:
    """An account's file, open to be added to. Each call is one transaction; raises sqlite3.Error, which
    `SearchFiles.building` tells apart."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    def progress(self, mailbox: int, uidvalidity: int) -> Progress:
        """Up to where a mailbox is in the file; what is left of another one of that number is forgotten."""
        row = self._db.execute(
            "SELECT uidvalidity, modseq, pass_modseq, pass_uid FROM mailbox WHERE id=?", (mailbox,)
        ).fetchone()
        if row is not None and row[0] == uidvalidity:
            return Progress(*row[1:])
        with self._transaction():
            self._db.execute("DELETE FROM place WHERE mailbox=?", (mailbox,))
            self._db.execute("INSERT OR REPLACE INTO mailbox (id, uidvalidity) VALUES (?,?)", (mailbox, uidvalidity))
        return Progress(0, 0, 0)

    def set_progress(self, mailbox: int, progress: Progress) -> None:
        self._db.execute("UPDATE mailbox SET modseq=?, pass_modseq=?, pass_uid=? WHERE id=?", (*progress, mailbox))

    def missing(self, mailbox: int, uids: Sequence[int]) -> list[int]:
        """Those of the UIDs (ascending) that the file knows nothing of."""
        if not uids:
            return []
        there = {
            uid
            for (uid,) in self._db.execute(
                "SELECT uid FROM place WHERE mailbox=? AND uid BETWEEN ? AND ?", (mailbox, uids[0], uids[-1])
            )
        }
        return [uid for uid in uids if uid not in there]

    def has(self, email: str) -> bool:
        """True when the text of a message is in the file already, from another mailbox."""
        return self._db.execute("SELECT 1 FROM doc WHERE email=?", (email,)).fetchone() is not None

    def add(self, mailbox: int, messages: Sequence[Kept]) -> None:
        """Put messages of a mailbox into the file. Of one whose text is there already only its place is new."""
        execute = self._db.execute
        with self._transaction():
            for uid, email, text in messages:
                row = execute("SELECT id FROM doc WHERE email=?", (email,)).fetchone()
                doc = row[0] if row is not None else NOT_KEPT
                if row is None and text is not None:
                    doc = execute("INSERT INTO doc (email) VALUES (?)", (email,)).lastrowid or NOT_KEPT
                    clean = _clean(text)
                    execute("INSERT INTO grams (rowid, text) VALUES (?,?)", (doc, clean))
                    wide = _wide_grams(clean)
                    if wide:
                        execute("INSERT INTO wide (rowid, text) VALUES (?,?)", (doc, " ".join(wide)))
                execute("INSERT OR REPLACE INTO place VALUES (?,?,?)", (mailbox, uid, doc))

    def forget(self, mailbox: int, uids: Collection[int]) -> None:
        """Messages of these UIDs are gone."""
        with self._transaction():
            self._db.executemany("DELETE FROM place WHERE mailbox=? AND uid=?", [(mailbox, uid) for uid in uids])

    def forget_mailboxes(self, but: Collection[int]) -> None:
        """Mailboxes other than these are gone."""
        known = {mailbox for (mailbox,) in self._db.execute("SELECT id FROM mailbox")}
        for mailbox in known.difference(but):
            with self._transaction():
                self._db.execute("DELETE FROM place WHERE mailbox=?", (mailbox,))
                self._db.execute("DELETE FROM mailbox WHERE id=?", (mailbox,))

    def is_bloated(self) -> bool:
        """More than half of the texts are of messages that are gone: better made anew."""
        docs = self._db.execute("SELECT count(*) FROM doc").fetchone()[0]
        if docs < MIN_DEAD:
            return False
        alive = self._db.execute("SELECT count(DISTINCT doc) FROM place WHERE doc<>0").fetchone()[0]
        return bool(docs - alive > max(MIN_DEAD, alive))
