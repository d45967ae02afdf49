"""Senders that never give up before their 250, and what must be true of what they sent."""

from __future__ import annotations

import hashlib
import imaplib
import queue
import random
import re
import smtplib
import threading
import time
from collections import Counter
from typing import Any

from conftest import RunningDemo

CONNECTIONS = 8
TRY_SECONDS = 60.0


class Senders:
    """Eight connections that send numbered messages, each until it gets its 250."""

    def __init__(self, people: list[str]) -> None:
        self._people = people
        self._waiting: queue.Queue[int] = queue.Queue()
        self.accepted: set[int] = set()
        self.attempts: Counter[int] = Counter()
        self.ports: list[int] = []
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

    def _run(self) -> None:
        clients: dict[int, smtplib.SMTP] = {}
        while True:
            try:
                number = self._waiting.get_nowait()
            except queue.Empty:
                break
            until = time.monotonic() + TRY_SECONDS
            while time.monotonic() < until:
                self.attempts[number] += 1
                port = self.ports[number % len(self.ports)]
                try:
                    if port not in clients:
                        clients[port] = smtplib.SMTP("127.0.0.1", port, timeout=20)
                    clients[port].sendmail("me@far.example", self.recipients(number), self.text(number))
                except (OSError, smtplib.SMTPException):
                    if port in clients:
                        clients.pop(port).close()
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


def stored(demo: RunningDemo, login: str, password: str) -> dict[int, bytes]:
    """What a client sees: octets by UID."""
    with imaplib.IMAP4("127.0.0.1", demo.port("imap"), timeout=30) as client:
        client.login(login, password)
        client.select("INBOX", readonly=True)
        _, found = client.uid("FETCH", "1:*", "(UID BODY.PEEK[])")
        messages = {}
        for part in found:
            if isinstance(part, tuple):
                uid = re.search(rb"UID (\d+)", part[0])
                assert uid is not None
                messages[int(uid[1])] = part[1]
        return messages


def check(demo: RunningDemo, people: list[dict[str, Any]], senders: Senders, seen: dict[str, dict[int, bytes]]) -> None:
    expected: Counter[tuple[str, int]] = Counter()
    for number in senders.accepted:
        for address in senders.recipients(number):
            expected[address, number] += 1
    deadline = time.monotonic() + 30
    while True:
        found: Counter[tuple[str, int]] = Counter()
        for person in people:
            messages = stored(demo, person["login"], person["password"])
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
