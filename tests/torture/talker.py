"""A session that believes what it is told, and comes back with what it knew when its connection is cut."""

from __future__ import annotations

import asyncio
import random
import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from believer import KEEPING, Believer
from ledger import Ledger, must
from wire import Ended, Wire

LOG = 400  # lines that are kept to be shown with a violation
#: what may be refused, because others have been faster
FASTER = (
    b"[EXPUNGEISSUED]",
    b"[NONEXISTENT]",
    b"[TRYCREATE]",
    b"[ALREADYEXISTS]",
    b"[CANNOT]",
    b"[UNAVAILABLE]",
    b"[HASCHILDREN]",
)
_HIGHEST = re.compile(rb"\[HIGHESTMODSEQ (\d+)\]")
_STATUS = re.compile(rb'^\* STATUS "?([^" ]+)"? \(([^)]*)\)$')


@dataclass(frozen=True, slots=True)
class Who:
    """A person's session: their login and password, the mailboxes they play with, and what they have enabled."""

    login: str
    password: str
    lasting: tuple[str, ...]
    passing: tuple[str, ...] = ()
    enables: str = ""
    notifies: str = ""


@dataclass(slots=True)
class Cache:
    """What is kept between two SELECTs of a mailbox."""

    uidvalidity: int
    modseq: int
    uids: list[int]
    flags: dict[int, frozenset[bytes]]


@dataclass(slots=True)
class Said:
    """What a command has brought."""

    status: bytes
    text: bytes
    lines: list[bytes] = field(default_factory=list)


class Talker:
    """One session after the other of one person. `log` is what was said of late."""

    def __init__(self, name: str, who: Who, ledger: Ledger, port: int, dice: random.Random) -> None:
        self.name, self.who, self.ledger, self.port, self.dice = name, who, ledger, port, dice
        self.wire: Wire | None = None
        self.state: Believer | None = None
        self.selected = ""
        self.is_read_only = False
        self.caches: dict[str, Cache] = {}
        self.status: dict[str, dict[bytes, int]] = {}
        self.log: deque[bytes] = deque(maxlen=LOG)
        self._tag = self.made = 0
        #: what may have happened although nobody has said so
        self.cut: Callable[[], None] = lambda: None

    # the connection

    @property
    def qresync(self) -> bool:
        return "QRESYNC" in self.who.enables

    async def connect(self) -> None:
        """Log in, however long it takes until somebody answers again."""
        until = asyncio.get_running_loop().time() + 60
        while True:
            try:
                self.wire = await Wire.open(self.port)
                said = await self.command(f"LOGIN {self.who.login} {self.who.password}")
                must(said.status == b"OK" or b"[UNAVAILABLE]" in said.text, "LOGIN", said.text)
                if said.status == b"OK":
                    if self.who.enables:
                        await self.command(f"ENABLE {self.who.enables}")
                    self.status.clear()
                    if self.who.notifies:
                        must((await self.command(f"NOTIFY SET {self.who.notifies}")).status == b"OK", "NOTIFY")
                    return
            except Ended:
                pass
            must(asyncio.get_running_loop().time() < until, "nobody lets this one in")
            self.drop()
            await asyncio.sleep(0.1)

    def drop(self) -> None:
        """The connection has ended: only what was kept is known."""
        self.keep()
        if self.wire is not None:
            self.wire.close()
        self.wire, self.state, self.selected = None, None, ""

    def keep(self) -> None:
        state = self.state
        if state is not None and self.qresync and state.highest and not state.is_selecting:
            cache = self.caches.get(self.selected)
            if cache is not None:
                cache.modseq, cache.uids, cache.flags = state.highest, self.kept[0], self.kept[1]

    kept: tuple[list[int], dict[int, frozenset[bytes]]] = ([], {})

    async def command(self, line: str, literal: bytes | None = None, kind: str = "") -> Said:
        """Say a command and take in what comes. Raises Ended."""
        assert self.wire is not None
        self._tag += 1
        tag = b"%d" % self._tag
        words = line.upper().split(" ")
        kind = kind or " ".join(words[:2] if words[0] == "UID" else words[:1])
        octets = tag + b" " + line.encode()
        if literal is not None:
            octets += b" {%d+}\r\n" % len(literal) + literal
        self.log.append(b"> " + octets[:200])
        await self.wire.send(octets + b"\r\n")
        said = Said(b"", b"")
        while True:
            response = await self.wire.response()
            self.log.append(response[:300])
            if response.startswith(tag + b" "):
                _, said.status, said.text = (*response.split(b" ", 2), b"")[:3]
                break
            if response.startswith(b"+ "):
                await self._idle(tag, said)
                break
            self._untagged(response, kind, said)
        must(said.status != b"BAD", line, said.text)
        if said.status == b"NO":
            must(any(code in said.text for code in FASTER), line, said.text)
        self._settled(kind, said)
        self.ledger.done[f"{kind} {said.status.decode()}"] += 1
        return said

    def _untagged(self, response: bytes, kind: str, said: Said) -> None:
        said.lines.append(response)
        if response.startswith(b"* BYE"):
            box = self.state.box if self.state is not None else None
            # the mailbox has gone, which nobody may do to a lasting one, or the worker ends
            must(b"is gone" not in response or box is None or not box.is_lasting, self.selected, response)
            raise Ended(response.decode())
        match = _STATUS.match(response)
        if match is not None:
            items = match[2].split()
            self.status.setdefault(match[1].decode(), {}).update(zip(items[::2], map(int, items[1::2]), strict=True))
        if response.startswith(b"* OK [CLOSED]"):
            must(self.state is None or not self.state.box.is_lasting, self.selected, response)
            self.state, self.selected = None, ""
        if self.state is not None:
            self.state.hear(response, kind)

    async def _idle(self, tag: bytes, said: Said) -> None:
        assert self.wire is not None
        until = asyncio.get_running_loop().time() + self.dice.random() / 2
        is_done = False
        while True:
            try:
                left = until - asyncio.get_running_loop().time()
                response = await self.wire.response(max(left, 0.0)) if not is_done else await self.wire.response()
            except TimeoutError:
                if is_done:
                    raise
                await self.wire.send(b"DONE\r\n")
                is_done = True
                continue
            self.log.append(response[:300])
            if response.startswith(tag + b" "):
                _, said.status, said.text = response.split(b" ", 2)
                return
            self._untagged(response, "IDLE", said)

    async def listen(self, seconds: float) -> None:
        """Take in what is said although nothing was asked."""
        assert self.wire is not None
        until = asyncio.get_running_loop().time() + seconds
        while (left := until - asyncio.get_running_loop().time()) > 0:
            try:
                response = await self.wire.response(left)
            except TimeoutError:
                return
            self.log.append(b"(unasked) " + response[:300])
            self._untagged(response, "", Said(b"", b""))

    def _settled(self, kind: str, said: Said) -> None:
        """A command has ended: up to where is everything known?"""
        state = self.state
        if state is None or state.is_selecting:
            return
        told = _HIGHEST.search(said.text)
        if told is not None:
            must(int(told[1]) >= state.highest, "HIGHESTMODSEQ falls to", told[1], "from", state.highest)
        if kind in (*KEEPING, "COPY", "") or state.unknown():  # what has vanished may not be told yet
            return
        state.highest = max(state.highest, state.seen_modseq, int(told[1]) if told is not None else 0)
        state.box.highest = max(state.box.highest, state.highest)
        self.kept = list(state.uids), dict(state.flags)
