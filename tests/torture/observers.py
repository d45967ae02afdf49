"""Who else is at a mailbox while players play: senders on two hosts, and POP3 sessions."""

from __future__ import annotations

import asyncio
import poplib
import random
import smtplib
from collections import Counter
from collections.abc import Callable

from ledger import Ledger, Mailbox, must

SECONDS = 20.0


class Sender:
    """Sends numbered messages to one address, to either host in turn. `tokens`: attempts of those that were taken."""

    def __init__(self, name: str, address: str, ports: list[int]) -> None:
        self.name, self.address, self.ports = name, address, ports
        self.taken: set[bytes] = set()
        self.attempts: Counter[bytes] = Counter()

    def _send(self, number: int) -> None:
        token = f"{self.name}.{number}"
        self.attempts[token.encode()] += 1
        port = self.ports[number % len(self.ports)]
        with smtplib.SMTP("127.0.0.1", port, timeout=SECONDS) as client:
            text = f"X-Torture: {token}\r\nSubject: {token}\r\n\r\ntext\r\n"
            client.sendmail("me@far.example", [self.address], text)
        self.taken.add(token.encode())

    async def play(self, is_over: Callable[[], bool]) -> None:
        number = 0
        while not is_over():
            try:
                await asyncio.to_thread(self._send, number)
            except (OSError, smtplib.SMTPException):
                await asyncio.sleep(0.05)
                continue  # the same one again, which may come twice then
            number += 1
            await asyncio.sleep(0.05)

    def check(self, ledger: Ledger, box: Mailbox, there: dict[int, bytes]) -> None:
        """What was taken has been in the mailbox, and not more often than it was sent."""
        seen = Counter(token for uid, token in box.tokens.items() if uid not in box.given)
        unread = sum(uid not in box.tokens for uid in box.gone)  # nobody knows which messages these were
        lost = self.taken - seen.keys()
        must(len(lost) <= unread, box.name, "taken, and never there:", lost)
        many = {
            token: times for token, times in seen.items() if token in self.attempts and times > self.attempts[token]
        }
        must(all(ledger.maybe[token] or ledger.maybe[b"?"] for token in many), box.name, "more often than sent:", many)


class _Connection(poplib.POP3):
    """Leaves no socket behind where nobody greets it."""

    def __init__(self, port: int) -> None:
        try:
            super().__init__("127.0.0.1", port, timeout=SECONDS)
        except BaseException:
            if hasattr(self, "file"):
                self.close()
            raise


class Collector:
    """Looks at an INBOX by POP3, and takes nothing."""

    def __init__(self, ledger: Ledger, box: Mailbox, login: tuple[str, str], port: int, dice: random.Random) -> None:
        self.ledger, self.box, self.login, self.port, self.dice = ledger, box, login, port, dice
        self.looks = 0

    def _look(self) -> tuple[int, list[tuple[int, int]], bytes, int]:
        client = _Connection(self.port)
        try:
            client.user(self.login[0])
            client.pass_(self.login[1])
            count, _ = client.stat()
            listed = [line.split()[1] for line in client.uidl()[1]]
            text, chosen = b"", 0
            if listed:
                chosen = self.dice.randrange(len(listed))
                try:
                    text = b"\r\n".join(client.top(chosen + 1, 0)[1])
                except poplib.error_proto:
                    text = b""  # it has gone meanwhile
            client.quit()
        finally:
            client.close()
        # %08Xu%08Xv of UID and UIDVALIDITY
        return count, [(int(uidl[:8], 16), int(uidl[9:17], 16)) for uidl in listed], text, chosen

    async def play(self, is_over: Callable[[], bool]) -> None:
        while not is_over():
            sent = self.ledger.tick()
            try:
                count, listed, text, chosen = await asyncio.to_thread(self._look)
            except (OSError, EOFError, poplib.error_proto):
                await asyncio.sleep(0.2)  # the other one is there, or the worker has ended
                continue
            self.looks += 1
            uids = [uid for uid, _ in listed]
            must(count == len(uids), "STAT", count, "UIDL", len(uids))
            must(uids == sorted(set(uids)), "UIDL does not ascend", uids)
            must(len({validity for _, validity in listed}) <= 1, "UIDL has several UIDVALIDITYs", listed)
            back = [uid for uid in uids if self.box.gone.get(uid, sent) < sent]
            must(not back, "POP3 shows what has gone", back)
            missing = [
                uid for uid, born in self.box.born.items()
                if born < sent and uid not in uids and uid not in self.box.gone and uid not in self.box.doomed
            ]  # fmt: skip
            must(not missing, "POP3 lacks", missing)
            if b"X-Torture: " in text:
                token = text.split(b"X-Torture: ")[1].split(b"\r\n")[0]
                self.ledger.see(self.box, uids[chosen], token)
            await asyncio.sleep(self.dice.random() / 3)
