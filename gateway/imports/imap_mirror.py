"""A copy of somebody's mail at another IMAP server, kept in a folder as Courier keeps it, for `Stores.take_over`.

It may be cut off at any point and called again, also days later: what is there is not fetched again, flags follow, what
was expunged goes. One message, or 4 MiB of small ones, is in memory at a time. A message's file is
`<uid>.v<uidvalidity>.<hash of whose mailbox it is>,S=..,W=..:2,<letters>`; one that a power cut left short is fetched anew. Raises OSError,
IMAPClientError for whatever the server answers.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any

from imapclient import IMAPClient

from gateway.files.durable import write_synced
from gateway.store import markers
from gateway.store.flags import words
from gateway.store.foreign import courier
from gateway.store.foreign.records import keyword
from gateway.store.layout import PLACES, encode_level
from gateway.store.repository import INBOX

TOGETHER = 4 << 20  # octets fetched at once
MESSAGES = 100
LISTED = 1_000  # messages whose flags are asked for at once
PIECE = 8 << 20  # of a message that is larger than all
_LETTERS = {"\\seen": "S", "\\flagged": "F", "\\answered": "R", "\\draft": "D", "\\deleted": "T"}
_FILE = re.compile(r"(\d+)\.v(\d+)\.([0-9a-f]{16}),S=(\d+),W=\d+:2,[A-Z]*\Z")
#: mailboxes that only show messages of others (RFC 6154)
_VIEWS = {b"\\all", b"\\flagged", b"\\important"}


@dataclass(slots=True)
class Mirrored:
    """What a run has done. `skipped`: mailboxes that hold no messages of their own."""

    messages: int = 0
    fetched: int = 0
    skipped: list[str] = field(default_factory=list)


def mirror(
    client: IMAPClient, root: str, origin: str, on_progress: Callable[[int, int], None] = lambda *_: None
) -> Mirrored:
    """Bring the copy in `root` up to what stands at the server. `origin` names server and user; `on_progress(more to do,
    done)` is called as it goes."""
    done = Mirrored()
    prefix, others = _namespaces(client)
    wanted: set[str] = set()
    names: dict[str, str] = {}
    for flags, separator, name in client.list_folders():
        lower = {flag.lower() for flag in flags}
        if lower & {b"\\noselect", b"\\nonexistent"} or name.startswith(others):
            continue
        if lower & _VIEWS and name.upper() != INBOX:
            done.skipped.append(name)
            continue
        folder = _folder(name, separator.decode() if separator else "", prefix)
        wanted.add(folder)
        names[name] = folder
        whose = sha256(f"{origin}\0{name}".encode()).hexdigest()[:16]
        _Mailbox(client, name, whose, os.path.join(root, folder), on_progress, done).bring()
    for entry in os.listdir(root):
        if entry.startswith(".") and entry not in wanted and os.path.isdir(os.path.join(root, entry)):
            shutil.rmtree(os.path.join(root, entry))
    subscribed = (names.get(name) for _, _, name in client.list_sub_folders())
    lines = [f"{INBOX}{folder}" for folder in subscribed if folder is not None]
    markers.replace(os.path.join(root, courier.SUBSCRIBED), "\n".join([*lines, ""]).encode())
    os.sync()  # what is linked into a store has to be on disk
    return done


def _namespaces(client: IMAPClient) -> tuple[str, tuple[str, ...]]:
    """The prefix of own mailboxes, and those of others'."""
    if not client.has_capability("NAMESPACE"):
        return "", ()
    found = client.namespace()
    own = found.personal[0][0] if found.personal else ""
    return own, tuple(prefix for kind in (found.other, found.shared) for prefix, _ in kind or () if prefix)


def _folder(name: str, separator: str, prefix: str) -> str:
    if name.upper() == INBOX:
        return ""
    levels = name.removeprefix(prefix).split(separator) if separator else [name]
    return "." + ".".join(encode_level(level) for level in levels)


class _Mailbox:
    """One mailbox at the server and its copy."""

    def __init__(
        self,
        client: IMAPClient,
        name: str,
        whose: str,
        folder: str,
        on_progress: Callable[[int, int], None],
        done: Mirrored,
    ) -> None:
        self._whose = whose
        self._client = client
        self._name = name
        self._folder = folder
        self._cur = os.path.join(folder, "cur")
        self._on_progress = on_progress
        self._done = done
        self._keywords: dict[str, str] = {}

    def bring(self) -> None:
        facts = self._client.select_folder(self._name, readonly=True)
        validity = int(facts[b"UIDVALIDITY"])
        for place in PLACES:
            os.makedirs(os.path.join(self._folder, place), 0o700, exist_ok=True)
        uids = self._client.search("ALL")
        self._on_progress(len(uids), 0)
        there = self._there(validity, set(uids))
        for start in range(0, len(uids), LISTED):
            some = uids[start : start + LISTED]
            answers = self._client.fetch(some, ["FLAGS", "INTERNALDATE", "RFC822.SIZE"])
            missing = []
            for uid in some:
                if uid not in answers:
                    continue  # expunged just now
                if uid in there:
                    self._renew(there[uid], self._info(uid, validity, answers[uid]))
                    self._on_progress(0, 1)
                else:
                    missing.append((uid, answers[uid]))
            self._fetch(missing, validity)
        self._note(validity, int(facts.get(b"UIDNEXT") or max(uids, default=0) + 1))
        self._done.messages += len(uids)

    def _there(self, validity: int, uids: set[int]) -> dict[int, str]:
        """Whole files of messages that the server still has; others are removed."""
        found: dict[int, str] = {}
        for file in os.listdir(self._cur):
            path = os.path.join(self._cur, file)
            match = _FILE.match(file)
            is_whole = match is not None and os.stat(path).st_size == int(match[4])
            is_ours = match is not None and (int(match[2]), match[3]) == (validity, self._whose)
            if match is None or not is_ours or not is_whole or int(match[1]) not in uids:
                os.unlink(path)
            else:
                found[int(match[1])] = file
        shutil.rmtree(os.path.join(self._folder, "tmp"))
        os.mkdir(os.path.join(self._folder, "tmp"), 0o700)
        return found

    def _info(self, uid: int, validity: int, answer: dict[bytes, Any]) -> str:
        """Letters; keywords are remembered."""
        flags = [flag.decode("utf-8", "replace") for flag in answer[b"FLAGS"]]
        if chosen := words(" ".join(flag for flag in flags if keyword(flag))):
            self._keywords[f"{uid}.v{validity}"] = chosen
        return "".join(sorted({_LETTERS[flag.lower()] for flag in flags if flag.lower() in _LETTERS}))

    def _renew(self, file: str, info: str) -> None:
        new = f"{file.partition(':')[0]}:2,{info}"
        if new != file:
            os.rename(os.path.join(self._cur, file), os.path.join(self._cur, new))

    def _fetch(self, missing: Sequence[tuple[int, dict[bytes, Any]]], validity: int) -> None:
        for some in _portions(missing):
            bodies = self._client.fetch([uid for uid, _ in some], ["BODY.PEEK[]"]) if len(some) > 1 else {}
            for uid, answer in some:
                if len(some) == 1:
                    pieces = self._pieces(uid, answer[b"RFC822.SIZE"])
                elif body := bodies.get(uid, {}).get(b"BODY[]"):
                    pieces = iter((body,))
                else:
                    continue
                self._write(uid, validity, answer, pieces)
                self._on_progress(0, 1)

    def _pieces(self, uid: int, size: int) -> Iterator[bytes]:
        """A message that is fetched alone, in pieces where it is large."""
        if size <= PIECE:
            for answer in self._client.fetch([uid], ["BODY.PEEK[]"]).values():
                yield answer.get(b"BODY[]") or b""
            return
        start = 0
        while True:
            answers = self._client.fetch([uid], [f"BODY.PEEK[]<{start}.{PIECE}>"])
            piece = answers[uid].get(b"BODY[]<%d>" % start) or b"" if uid in answers else b""
            yield piece
            start += len(piece)
            if len(piece) < PIECE:
                return

    def _write(self, uid: int, validity: int, answer: dict[bytes, Any], pieces: Iterator[bytes]) -> None:
        date: datetime = answer[b"INTERNALDATE"]
        temporary = os.path.join(self._folder, "tmp", str(uid))
        lines = 0

        def with_lf() -> Iterator[bytes]:
            nonlocal lines
            held = b""
            for piece in pieces:
                data = held + piece
                held = b"\r" if data.endswith(b"\r") else b""
                data = data[: len(data) - len(held)].replace(b"\r\n", b"\n")
                lines += data.count(b"\n")
                yield data
            yield held

        size = write_synced(temporary, with_lf(), date.timestamp(), sync=lambda _: None)
        if not size and answer[b"RFC822.SIZE"]:
            os.unlink(temporary)  # expunged just now
            return
        name = f"{uid}.v{validity}.{self._whose},S={size},W={size + lines}:2,{self._info(uid, validity, answer)}"
        os.rename(temporary, os.path.join(self._cur, name))
        self._done.fetched += 1

    def _note(self, validity: int, uidnext: int) -> None:
        """What Courier would note."""
        bases = {file.partition(".")[0]: file.partition(":")[0] for file in os.listdir(self._cur)}
        lines = [f"1 {validity} {uidnext}", *(f"{uid} {bases[uid]}" for uid in sorted(bases, key=int)), ""]
        markers.replace(os.path.join(self._folder, courier.UIDDB), "\n".join(lines).encode())
        known = sorted({word for chosen in self._keywords.values() for word in chosen.split()})
        numbers = {word: number for number, word in enumerate(known)}
        lists = []
        for uid, base in bases.items():
            chosen = self._keywords.get(f"{uid}.v{validity}", "").split()
            if chosen:
                lists.append(f"{base}:{' '.join(str(numbers[word]) for word in chosen)}")
        folder = os.path.join(self._folder, courier.KEYWORDS)
        os.makedirs(folder, 0o700, exist_ok=True)
        markers.replace(os.path.join(folder, ":list"), "\n".join([*known, "", *lists, ""]).encode())


def _portions(
    missing: Sequence[tuple[int, dict[bytes, Any]]],
) -> Iterator[list[tuple[int, dict[bytes, Any]]]]:
    """Messages that are fetched together."""
    some: list[tuple[int, dict[bytes, Any]]] = []
    octets = 0
    for each in missing:
        size = each[1][b"RFC822.SIZE"]
        if some and (octets + size > TOGETHER or len(some) >= MESSAGES):
            yield some
            some, octets = [], 0
        some.append(each)
        octets += size
    if some:
        yield some
