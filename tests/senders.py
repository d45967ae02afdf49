"""Senders that never give up before their 250, and what must be true of what they sent."""

from __future__ import annotations

import contextlib
import hashlib
import imaplib
import queue
import random
import re
import smtplib
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, TypeAlias

from conftest import RunningDemo

CONNECTIONS = 8
TRY_SECONDS = 60.0


Host: TypeAlias = tuple[str, int]


def dial(host: Host) -> smtplib.SMTP:
    return smtplib.SMTP(*host, timeout=20)


class Senders:
    """Eight connections that send numbered messages, each until it gets its 250."""

    def __init__(
        self, people: list[str], dial: Callable[[Host], smtplib.SMTP] = dial, *, moves_on: bool = False
    ) -> None:
        """Each message goes to the same host until it is taken; with `moves_on` to the next one at each try."""
        self._people, self._dial, self._moves_on = people, dial, moves_on
        self._waiting: queue.Queue[int] = queue.Queue()
        self.accepted: set[int] = set()
        self.attempts: Counter[int] = Counter()
        self.hosts: list[Host] = []
        self.given_up: list[int] = []

    def text(self, number: int) -> bytes:
        filling = hashlib.sha256(str(number).encode()).hexdigest() * random.Random(number).randint(1, 200)
        lines = "\r\n".join(filling[start : start + 70] for start in range(0, len(filling), 70))
        return f"From: me@far.example\r\nSubject: number {number}\r\n\r\n{lines}\r\n".encode()

    def recipients(self, number: int) -> list[str]:
        """One, or two who share a file."""
        first = number % len(self._people)
        return [self._people[first], *([self._people[first - 1]] if number % 3 == 0 else [])]

    def send(self, numbers: range) -> list[threading.Thread]:
        for number in numbers:
            self._waiting.put(number)
        threads = [threading.Thread(target=self._run) for _ in range(CONNECTIONS)]
        for thread in threads:
            thread.start()
        return threads

    def stop(self) -> None:
        """Begin no further message."""
        with contextlib.suppress(queue.Empty):
            while True:
                self._waiting.get_nowait()

    def _run(self) -> None:
        clients: dict[Host, smtplib.SMTP] = {}
        while True:
            try:
                number = self._waiting.get_nowait()
            except queue.Empty:
                break
            until = time.monotonic() + TRY_SECONDS
            while time.monotonic() < until:
                self.attempts[number] += 1
                host = self.hosts[(number + self._moves_on * self.attempts[number]) % len(self.hosts)]
                try:
                    if host not in clients:
                        clients[host] = self._dial(host)
                    clients[host].sendmail("me@far.example", self.recipients(number), self.text(number))
                except (OSError, smtplib.SMTPException):
                    if host in clients:
                        clients.pop(host).close()
                    time.sleep(0.2)
                    continue
                self.accepted.add(number)
                break
            else:
                self.given_up.append(number)
        for client in clients.values():
            client.close()


def readers(demo: RunningDemo) -> list[dict[str, Any]]:
    """Six people who get mail and may read it by IMAP."""
    people = [a for a in demo.facts["accounts"] if a["kind"] == "person" and a["status"] == "active" and a["password"]]
    return [person for person in people if "imap" in (person["services"] or ["imap"])][:6]


def stored(host: Host, login: str, password: str) -> dict[int, bytes]:
    """What a client of an IMAP host sees: octets by UID."""
    with imaplib.IMAP4(*host, timeout=30) as client:
        client.login(login, password)
        answer = client.select("INBOX", readonly=True)
        assert answer[0] == "OK", answer
        _, found = client.uid("FETCH", "1:*", "(UID BODY.PEEK[])")
        messages = {}
        for part in found:
            if isinstance(part, tuple):
                uid = re.search(rb"UID (\d+)", part[0])
                assert uid is not None
                messages[int(uid[1])] = part[1]
        return messages


def check(host: Host, people: list[dict[str, Any]], senders: Senders, seen: dict[str, dict[int, bytes]]) -> None:
    """All that was accepted is there for an IMAP client, whole, and what was `seen` before is the same."""
    expected: Counter[tuple[str, int]] = Counter()
    for number in senders.accepted:
        for address in senders.recipients(number):
            expected[address, number] += 1
    deadline = time.monotonic() + 30
    while True:
        found: Counter[tuple[str, int]] = Counter()
        for person in people:
            messages = stored(host, person["login"], person["password"])
            for uid, octets in seen[person["login"]].items():
                assert messages[uid] == octets, f"UID {uid} of {person['login']} is another message now"
            seen[person["login"]].update(messages)
            for octets in messages.values():
                subject = re.search(rb"^Subject: number (\d+)\r\n", octets, re.MULTILINE)
                if subject is not None:
                    number = int(subject[1])
                    assert octets.endswith(senders.text(number)), f"message {number} is not whole"
                    found[person["addresses"][0], number] += 1
        if not expected - found or time.monotonic() > deadline:
            break
        time.sleep(0.5)  # the rest of a delivery that half failed comes from the queue
    assert not expected - found, "lost"
    for (address, number), count in found.items():
        assert count <= senders.attempts[number], f"message {number} is {count} times with {address}"
