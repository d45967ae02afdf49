"""A session that does at random what sessions do, and at the end must know what is there."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence

from believer import Believer, numbers_of
from ledger import Violation, must
from talker import Cache, Talker
from wire import Ended

KEYWORDS = (b"one", b"two", b"three", b"four")
MOST = 150  # messages in a mailbox that gets no more copies: longer answers say nothing new
_CODE = re.compile(rb"\[(APPENDUID|COPYUID) (\d+) ([\d:,]+)(?: ([\d:,]+))?\]")


class Player(Talker):
    """Raises Violation from `play` and `check`."""

    # what it does

    async def play(self, is_over: Callable[[], bool]) -> None:
        """Do something, again and again."""
        try:
            while not is_over():
                try:
                    if self.wire is None:
                        await self.connect()
                    await self.act()
                except Ended:
                    self.cut()
                    self.drop()
                self.cut = lambda: None
        except (Violation, TimeoutError, KeyError, ValueError, IndexError) as error:
            raise self.told(error) from error

    def told(self, error: Exception) -> Violation:
        """A violation with what was said before it."""
        recent = "\n".join(line.decode(errors="replace") for line in self.log)
        return Violation(f"{self.name} ({self.who}, {self.selected}): {error!r}\n{recent}")

    async def act(self) -> None:
        dice = self.dice
        if self.state is None or dice.random() < 0.05:
            await self.select()
            return
        if self.state.is_free or self.who.notifies:
            await self.listen(dice.random() / 5)
        choices: list[tuple[int, Callable[[], Awaitable[None]]]] = [
            (4, self.noop), (3, self.idle), (6, self.append), (1, self.status_of), (1, self.leave),
        ]  # fmt: skip
        if self.who.passing:
            choices += [(1, self.arrange)]
        if self.state.uids:
            choices += [(8, self.fetch), (3, self.search), (4, self.copy)]
            if not self.is_read_only:
                choices += [(12, self.store), (4, self.expunge), (4, self.move)]
        weights, acts = zip(*choices, strict=True)
        await dice.choices(acts, weights)[0]()
        if self.state is not None and self.state.unknown() and (self.qresync or dice.random() < 0.8):
            await self.fetch_unknown()

    async def fetch_unknown(self) -> None:
        state = self.state
        while state is not None and (first := state.unknown()):
            if state.is_free:
                await self.command("UID FETCH 1:* (UID FLAGS MODSEQ)")
                return
            item = self.dice.choice(["", " BODY.PEEK[HEADER.FIELDS (X-Torture)]"])
            await self.command(f"FETCH {first}:* (UID FLAGS MODSEQ{item})")
            if not self.qresync:
                return

    def box(self) -> str:
        if self.who.passing and self.dice.random() < 0.3:
            return self.dice.choice(self.who.passing)
        return self.dice.choice(self.who.lasting)

    async def select(self, name: str = "") -> None:
        """SELECT or EXAMINE, with QRESYNC where something is known."""
        name, dice, ledger = name or self.box(), self.dice, self.ledger
        self.keep()
        self.state, self.selected = None, name
        self.is_read_only = dice.random() < 0.15
        cache = self.caches.get(name) if self.qresync else None
        extra = f" (QRESYNC ({cache.uidvalidity} {cache.modseq}))" if cache is not None else ""
        if not extra and dice.random() < 0.3:
            extra = " (CONDSTORE)"
        floors = {key: (box.highest, box.uidnext) for key, box in ledger.mailboxes.items()}
        sent = ledger.tick()
        said = await self.command(f"{'EXAMINE' if self.is_read_only else 'SELECT'} {name}{extra}")
        self.selected = name
        if said.status == b"NO":
            must(name not in ledger.lasting, name, said.text)
            return
        # what stands before is about the mailbox that was open until then
        closed = next((at for at, line in enumerate(said.lines) if line.startswith(b"* OK [CLOSED]")), -1)
        lines = said.lines[closed + 1 :]
        told = b"\r\n".join(lines)
        found = {
            key: re.search(rb"\[%b ([^\]]+)\]" % key, told)
            for key in (b"UIDVALIDITY", b"UIDNEXT", b"HIGHESTMODSEQ", b"MAILBOXID")
        }
        must(all(found.values()), "SELECT lacks something", told)
        value = {key: match[1] for key, match in found.items() if match is not None}
        validity, highest = int(value[b"UIDVALIDITY"]), int(value[b"HIGHESTMODSEQ"])
        box = ledger.mailbox(name, value[b"MAILBOXID"], validity)
        key = value[b"MAILBOXID"], validity
        must(highest >= floors.get(key, (0, 0))[0], name, "HIGHESTMODSEQ", highest, "was", floors.get(key))
        uidnext = int(value[b"UIDNEXT"])
        if box.is_lasting:
            must(uidnext >= floors.get(key, (0, 1))[1], name, "UIDNEXT falls to", uidnext, "from", floors.get(key))
        box.uidnext = max(box.uidnext, uidnext)
        box.highest = max(box.highest, highest)
        reader = self.who.login if name.startswith("Shared/") else ""
        state = Believer(ledger, box, reader=reader, qresync=self.qresync)
        state.is_free = "(selected " in self.who.notifies
        if cache is not None and cache.uidvalidity == validity:
            state.restore(cache.uids, cache.flags, cache.modseq)
            must(highest >= cache.modseq, "HIGHESTMODSEQ", highest, "less than was told", cache.modseq)
        is_old = False
        for line in lines:
            # what has happened meanwhile comes behind what SELECT tells
            is_new = (line.startswith(b"* VANISHED ") and b"EARLIER" not in line) or line.endswith(
                (b" EXPUNGE", b" EXISTS")
            )
            if is_new and is_old:
                state.begun(uidnext)
            is_old |= is_new
            state.hear(line, "SELECT")
        state.begun(uidnext)
        self.state = state
        state.flags = {uid: flags for uid, flags in state.flags.items() if uid in set(state.uids)}
        state.highest = 0  # until all that is there is known
        while self.state is not None and state.unknown():
            await self.command("UID FETCH 1:* (UID FLAGS MODSEQ)")
        self._complete(state, sent)
        if self.qresync:
            self.caches.setdefault(name, Cache(validity, 1, [], {})).uidvalidity = validity
            state.highest = max(state.highest, highest)
            self.kept = list(state.uids), dict(state.flags)

    def _complete(self, state: Believer, sent: int) -> None:
        """All that was there before the truth was asked for is known, and nothing that had gone."""
        if state.unknown():
            return
        known = set(state.uids)
        for uid, when in state.box.born.items():
            if when < sent and uid not in known:
                must(
                    uid in state.box.gone or uid in state.box.doomed or not state.box.is_lasting,
                    "UID",
                    uid,
                    "is missing",
                )
        back = [uid for uid in known if state.box.gone.get(uid, sent) < sent]
        must(not back, "UIDs that had gone are there", back)

    async def noop(self) -> None:
        sent, state = self.ledger.tick(), self.state
        await self.command(self.dice.choice(["NOOP", "NOOP", "CHECK"]))
        if state is not None:
            self._complete(state, sent)

    async def idle(self) -> None:
        await self.command("IDLE")

    async def leave(self) -> None:
        self.keep()
        if self.is_read_only or self.dice.random() < 0.5:
            await self.command("UNSELECT")
        else:
            await self.command("CLOSE")
        self.state, self.selected = None, ""

    async def append(self) -> None:
        self.made += 1
        token, name = f"{self.name}.{self.made}".encode(), self.box()
        flags = self.dice.choice(["", r"(\Seen) ", r"(\Flagged one) "])
        message = b"X-Torture: " + token + b"\r\nSubject: " + token + b"\r\n\r\ntext\r\n"
        sent = self.ledger.tick()
        self.cut = lambda: self.ledger.maybe.update([token])
        said = await self.command(f"APPEND {name} {flags}".rstrip(), message)
        self.cut = lambda: None
        code = _CODE.search(said.text)
        if said.status == b"OK":
            must(code is not None and code[1] == b"APPENDUID", "APPEND", said.text)
            assert code is not None
            box = self.ledger.named(name, int(code[2]))
            if box is not None:
                self.ledger.give(box, int(code[3]), token, sent)
            else:
                self.ledger.maybe[token] += 1

    def some(self) -> tuple[str, list[int]] | None:
        """A sequence set for UID commands and the UIDs it means."""
        assert self.state is not None
        known = [uid for uid in self.state.uids if uid]
        if not known:
            return None
        first = self.dice.randrange(len(known))
        last = min(len(known), first + (1 if self.dice.random() < 0.6 else self.dice.randint(1, 8)))
        chosen = known[first:last]
        if len(chosen) == 1 or self.state.unknown():  # one that is not known may lie between them
            return ",".join(map(str, chosen)), chosen
        return f"{chosen[0]}:{chosen[-1]}", chosen

    def addressed(self) -> tuple[str, str, list[int]] | None:
        """("UID " or "", the set, the UIDs it means)."""
        assert self.state is not None
        found = self.some()
        if found is None:
            return None
        spelled, uids = found
        if self.state.is_free or self.dice.random() < 0.5:
            return "UID ", spelled, uids
        first, last = self.state.uids.index(uids[0]) + 1, self.state.uids.index(uids[-1]) + 1
        if 0 in self.state.uids[first - 1 : last]:
            return None
        return "", f"{first}:{last}" if last > first else str(first), uids

    async def fetch(self) -> None:
        found, state = self.addressed(), self.state
        if found is None or state is None:
            return
        uid, spelled, _ = found
        items = self.dice.choice(
            ["(FLAGS)", "(UID FLAGS MODSEQ)", "(UID BODY.PEEK[HEADER.FIELDS (X-Torture)])", "(UID RFC822.SIZE)", "FAST"]
        )
        if not self.is_read_only and self.dice.random() < 0.1:
            items = "(UID BODY[TEXT])"
        since = ""
        if self.dice.random() < 0.2 and state.highest:
            since = f" (CHANGEDSINCE {state.highest}{' VANISHED' if uid and self.qresync else ''})"
        await self.command(f"{uid}FETCH {spelled} {items}{since}")

    async def search(self) -> None:
        state = self.state
        assert state is not None
        uid = "UID " if state.is_free or self.dice.random() < 0.5 else ""
        key = self.dice.choice(["ALL", "UNSEEN", "KEYWORD one", "DELETED", "SUBJECT x", "MODSEQ 5"])
        known = set(state.uids)
        said = await self.command(f"{uid}SEARCH {key}")
        count = len(state.uids)  # which cannot have become less
        for line in said.lines:
            if line.startswith(b"* SEARCH"):
                numbers = [int(word) for word in line.split(b" (MODSEQ")[0].split()[2:]]
                must(len(set(numbers)) == len(numbers), "SEARCH names one twice", line)
                if not uid:
                    must(all(1 <= number <= count for number in numbers), "SEARCH finds unknown numbers", line, count)
                elif 0 not in known:
                    strange = set(numbers) - known - set(state.uids)
                    must(not strange or state.unknown(), "SEARCH finds unknown UIDs", strange)

    async def store(self) -> None:
        found, state = self.addressed(), self.state
        if found is None or state is None:
            return
        uid, spelled, uids = found
        dice, box = self.dice, state.box
        flag = dice.choice([rb"\Seen", rb"\Deleted", rb"\Deleted", rb"\Flagged", rb"\Answered", *KEYWORDS])
        mode = dice.choice(["+FLAGS", "+FLAGS", "-FLAGS", "FLAGS"])
        silent = dice.random() < 0.3
        since = ""
        claimed: int | None = None
        if dice.random() < 0.25:
            claimed = state.modseqs.get(uids[0])
            flag, mode, silent = dice.choice([*KEYWORDS, rb"\Flagged"]), "+FLAGS", False
            if claimed is None or flag in state.flags.get(uids[0], ()) or not uid:
                return
            uids, spelled, since = uids[:1], str(uids[0]), f" (UNCHANGEDSINCE {claimed})"
        if flag == rb"\Deleted" and mode != "-FLAGS":
            box.doomed.update(uids)
        if silent and not state.modseqs.keys() >= set(uids):
            silent = False
        before = {each: state.flags.get(each) for each in uids}
        said = await self.command(f"{uid}STORE {spelled}{since} {mode}{'.SILENT' if silent else ''} ({flag.decode()})")
        if claimed is not None and said.status == b"OK" and b"[MODIFIED" not in said.text:
            is_there = any(b"FETCH" in line for line in said.lines)
            if is_there and state.modseqs.get(uids[0], claimed) > claimed:
                now = state.flags.get(uids[0])
                if now is not None and flag.lower() in now:
                    must(
                        (uids[0], claimed) not in box.claims or state.reader,
                        "UID",
                        uids[0],
                        "claimed twice from",
                        claimed,
                    )
                    box.claims.add((uids[0], claimed))
        if silent and said.status == b"OK":
            for each in uids:
                known = before[each]
                if known is None or each not in state.flags:
                    continue
                if state.flags[each] != known:
                    continue  # something was told after all: it is the truth
                word = frozenset([flag.lower()])
                now = known | word if mode == "+FLAGS" else known - word if mode == "-FLAGS" else word
                state.flags[each] = now
                if each in self.kept[1]:
                    self.kept[1][each] = now

    async def expunge(self) -> None:
        found = self.some()
        if found is not None and self.dice.random() < 0.5:
            await self.command(f"UID EXPUNGE {found[0]}")
        else:
            await self.command("EXPUNGE")

    async def copy(self) -> None:
        await self._transfer("COPY")

    async def move(self) -> None:
        await self._transfer("MOVE")

    async def _transfer(self, verb: str) -> None:
        found, state, ledger = self.addressed(), self.state, self.ledger
        if found is None or state is None:
            return
        uid, spelled, uids = found
        name, box = self.box(), state.box
        if name == self.selected and verb == "MOVE":
            return
        if len(state.uids) > MOST and verb == "COPY":
            return
        tokens = {each: box.tokens.get(each, b"") for each in uids}
        if verb == "MOVE":
            box.doomed.update(uids)
        # which message it is may be found out later
        sent = ledger.tick()
        self.cut = lambda: ledger.maybe.update(token or b"?" for token in tokens.values())
        said = await self.command(f"{uid}{verb} {spelled} {name}")
        self.cut = lambda: None
        code = next((m for line in (*said.lines, said.text) if (m := _CODE.search(line)) is not None), None)
        if code is None:
            return
        must(code[4] is not None, "COPYUID", code[0])
        sources, targets = numbers_of(code[3]), numbers_of(code[4])
        must(len(sources) == len(targets), "COPYUID", code[0])
        must(set(sources) <= set(uids), "COPYUID of other messages", code[0], uids)
        target = ledger.named(name, int(code[2]))
        for source, new in zip(sources, targets, strict=True):
            if verb == "MOVE":
                must(source not in box.moved, box.name, "UID", source, "was moved twice")
                box.moved.add(source)
                box.gone.setdefault(source, ledger.tick())
            if target is not None:
                ledger.give(target, new, box.tokens.get(source, b""), sent)
                if source in box.doomed or not box.is_lasting:
                    target.doomed.add(new)
            else:
                ledger.maybe[box.tokens.get(source, b"?")] += 1

    async def status_of(self) -> None:
        name = self.dice.choice(self.who.lasting)
        floor = max((box.highest for box in self.ledger.mailboxes.values() if box.name == name), default=0)
        said = await self.command(f"STATUS {name} (MESSAGES UIDNEXT UIDVALIDITY HIGHESTMODSEQ UNSEEN)")
        must(said.status == b"OK", "STATUS", said.text)
        highest = self.status[name][b"HIGHESTMODSEQ"]
        must(highest >= floor, name, "HIGHESTMODSEQ of STATUS", highest, "was told as", floor)

    async def arrange(self) -> None:
        """Mailboxes come, go, and are called differently, whoever has them open."""
        name, other = self.dice.choice(self.who.passing), self.dice.choice(self.who.passing)
        await self.command(
            self.dice.choice([f"CREATE {name}", f"CREATE {name}", f"DELETE {name}", f"RENAME {name} {other}"])
        )

    # at the end

    async def check(self) -> None:
        """Everybody else is quiet now: what is known is what is there."""
        if self.wire is None:
            await self.connect()
        if self.state is None:
            await self.select(self.who.lasting[0])
        state = self.state
        assert state is not None
        await self.command("NOOP")
        if state.unknown():
            await self.command("UID FETCH 1:* (UID FLAGS MODSEQ)")
        believed, flags, modseqs = list(state.uids), dict(state.flags), dict(state.modseqs)
        await self.command("UID FETCH 1:* (UID FLAGS MODSEQ)")
        must(believed == state.uids, "believed", believed, "and there are", state.uids)
        for uid in believed:
            if uid in flags:
                must(
                    flags[uid] == state.flags[uid],
                    self.name,
                    self.selected,
                    "UID",
                    uid,
                    "believed",
                    flags[uid],
                    "has",
                    state.flags[uid],
                )
        wrong = {uid: at for uid, at in modseqs.items() if at > state.modseqs.get(uid, at)}
        must(not wrong, "MODSEQ fell", wrong)

    async def check_news(self) -> None:
        """What NOTIFY has told of a mailbox that is not selected becomes what is there."""
        name = next(each for each in self.who.lasting if each != self.selected)
        watcher = Player(f"{self.name}'s second", self.who, self.ledger, self.port, self.dice)
        await watcher.connect()
        until = asyncio.get_running_loop().time() + 30
        while True:
            await watcher.command(f"STATUS {name} (MESSAGES UIDNEXT UNSEEN)")
            there = watcher.status[name]
            told = {key: self.status.get(name, {}).get(key) for key in there}
            if told == there:
                break
            must(asyncio.get_running_loop().time() < until, name, "NOTIFY told", told, "and there is", there)
            await self.listen(0.2)
        watcher.drop()

    async def contents(self, name: str) -> dict[int, bytes]:
        """UIDs and messages of a mailbox, read afresh."""
        self.is_read_only = True
        await self.select(name)
        state = self.state
        assert state is not None
        await self.command("UID FETCH 1:* (UID BODY.PEEK[HEADER.FIELDS (X-Torture)])")
        return {uid: state.box.tokens.get(uid, b"") for uid in state.uids}


async def everybody(work: Sequence[Awaitable[None]]) -> None:
    """Wait for all; the first violation is raised when all have ended."""
    tasks = [asyncio.ensure_future(each) for each in work]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
