"""What the tests of the self-test work with: a person, the far end, messages, and waiting for what becomes of them."""

from __future__ import annotations

import imaplib
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path

from directory.model.selftest import SELFTEST
from gateway.config.settings import Listener, Settings
from gateway.control.client import ControlError, call
from gateway.queue.file import MESSAGES
from gateway.service.mail_control import MAIL_SOCKET
from gateway.service.selftest import clients
from gateway.service.selftest.case import Failed, Skipped
from gateway.service.selftest.entries import Entries, Names
from gateway.service.selftest.sink import Kept, Sink
from gateway.service.selftest.tail import Event, Tail, told

LEAST_SECONDS = 0.2  # of a connection that is tried at the end of a test's time
NOW_SECONDS = 2.0  # within which a queue runner that lives answers
PAUSES = (0.01, 0.25)  # seconds between two looks, growing
SUBJECT = "Gatepost self-test"
FIELD = "X-Gatepost-Selftest"
MAILBOXES = ("INBOX", "Junk")
#: a line that SMTP has to stuff, one that mbox would quote, an empty one
BODY = "This message is from gatepost selftest and may be deleted.\r\n.a dot\r\nFrom here\r\n\r\nthe end\r\n"
Mailbox = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Person:
    """Who the tests send as, send to and log in as."""

    login: str
    password: str
    address: str
    domain_has_catch_all: bool = False


@dataclass(frozen=True, slots=True)
class Message:
    """`token` stands in the subject and in the Message-ID, nowhere else in the world."""

    token: str
    content: bytes


class Bench:
    """One a run. `person`, `entries`, `sink` and `tail` are there as far as the tests that were chosen need them."""

    def __init__(self, settings: Settings, configuration: Path, names: Names) -> None:
        self.settings, self.configuration, self.names = settings, configuration, names
        self.entries: Entries | None = None
        self._person: Person | None = None
        self._sink: Sink | None = None
        self._tail: Tail | None = None
        self.is_queue_down = False
        self._until = 0.0
        self._sent = 0
        self._reader: imaplib.IMAP4 | None = None
        self._first: dict[str, int] = {}

    # -- what is there ---------------------------------------------------------------------------------------

    def give(self, person: Person | None, sink: Sink | None, tail: Tail | None) -> None:
        """From now on these are there."""
        self._person, self._sink, self._tail = person, sink, tail

    @property
    def person(self) -> Person:
        assert self._person is not None
        return self._person

    @property
    def has_person(self) -> bool:
        return self._person is not None

    @property
    def sink(self) -> Sink:
        assert self._sink is not None
        return self._sink

    @property
    def tail(self) -> Tail:
        """Raises Skipped where events of messages are not kept."""
        if self._tail is None:
            raise Skipped("trace.keep is 0: the steps of a message are not kept")
        return self._tail

    # -- time ------------------------------------------------------------------------------------------------

    def begin(self, seconds: float) -> None:
        """A test begins that may take so long."""
        self._until = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds of the test's time."""
        return max(LEAST_SECONDS, self._until - time.monotonic())

    def until(self, look: Callable[[], bool]) -> bool:
        """Look again and again; False when the time is over."""
        pause, longest = PAUSES
        while not look():
            if time.monotonic() >= self._until:
                return False
            time.sleep(pause)
            pause = min(2 * pause, longest)
        return True

    # -- sending ---------------------------------------------------------------------------------------------

    def message(self, recipient: str, author: str = "", more: str = "") -> Message:
        """A new message from the person, or from `author`; `more` are octets of text behind the usual ones."""
        self._sent += 1
        token = f"{self.names.run}-{self._sent:03d}"
        author = author or self.person.address
        head = (
            f"From: {author}\r\nTo: {recipient}\r\nSubject: {SUBJECT} {token}\r\nDate: {formatdate()}\r\n"
            f"Message-ID: <{token}@{self.names.domain}>\r\nAuto-Submitted: auto-generated\r\n{FIELD}: {self.names.run}\r\n"
        )
        return Message(token, f"{head}\r\n{BODY}{more}".encode())

    def by_host(self, recipient: str, return_path: str | None = None) -> tuple[str, Message]:
        """Sent as a program of this host does; (id, message)."""
        message = self.message(recipient)
        with clients.smtp(clients.local(self.settings), self.left()) as client:
            path = self.person.address if return_path is None else return_path
            return clients.send(client, path, recipient, message.content), message

    def by_mx(self, recipient: str, sender: str) -> tuple[str, Message]:
        """Sent as another host does."""
        message = self.message(recipient, sender)
        with clients.smtp(clients.mx(self.settings), self.left()) as client:
            return clients.send(client, sender, recipient, message.content), message

    def by_lmtp(self, recipient: str, sender: str) -> tuple[str, Message]:
        """Sent as another gateway does."""
        message = self.message(recipient, sender)
        with clients.smtp(clients.lmtp(self.settings), self.left(), hello="lhlo") as client:
            return clients.send(client, sender, recipient, message.content), message

    def by_login(self, recipient: str) -> tuple[str, Message]:
        """Sent as a mail program does, logged in."""
        message = self.message(recipient)
        listener = clients.submission(self.settings)
        with clients.smtp(listener, self.left(), tls=True) as client:
            client.login(self.person.login, self.person.password)
            return clients.send(client, self.person.address, recipient, message.content), message

    def refusal(self, listener: Listener, sender: str, recipient: str) -> str:
        """The reply to RCPT (to MAIL, where that is not taken); nothing is sent."""
        with clients.smtp(listener, self.left()) as client:
            code, text = client.mail(sender)
            if code == 250:
                code, text = client.rcpt(recipient)
            client.rset()
            return clients.said(code, text)

    # -- what becomes of it ----------------------------------------------------------------------------------

    def story(self, message: str, is_done: Callable[[list[Event]], bool], expected: str) -> list[Event]:
        """The events of a message, once they are what is waited for. Raises Failed, Skipped."""
        if self.is_queue_down:
            self._until = min(self._until, time.monotonic() + NOW_SECONDS)
        tail, events = self.tail, list[Event]()

        def look() -> bool:
            events[:] = tail.story(message)
            return is_done(events)

        if not self.until(look):
            raise Failed(expected, f"of {message} so far: {told(events)}", self.advice(message))
        return events

    def done(self, message: str, recipient: str, expected: str) -> list[Event]:
        """The same, for a message that the queue brings to `recipient`."""
        return self.story(
            message,
            lambda events: any(
                event["event"] == "attempted" and event.get("state") == "done" and event["recipient"] == recipient
                for event in events
            ),
            expected,
        )

    def at_far_end(self, message: Message) -> Kept:
        """The message as the far end got it. Raises Failed."""
        token = message.token.encode()
        for kept in self.sink.kept:
            if token in kept.content:
                return kept
        raise Failed(
            "the far end has the message", "the queue says it was handed on, the far end did not see it",
            "does another host or program take mail for 127.0.0.1?",
        )  # fmt: skip

    def advice(self, message: str) -> str:
        """Where to look for a message that did not go where it should."""
        begin = time.monotonic()
        try:
            call(Path(self.settings.run_dir) / MAIL_SOCKET, "queue-now", answer_within=NOW_SECONDS)
        except ControlError as error:
            self.is_queue_down = time.monotonic() - begin >= NOW_SECONDS or error.code == 4
            return f"the queue runner does not answer ({error}): gatepost ps, and its log"
        if (Path(self.settings.state_dir) / "queue" / MESSAGES / message).exists():
            return f"gatepost queue explain {message}"
        return f"gatepost trace {message}"

    # -- reading ---------------------------------------------------------------------------------------------

    def reader(self) -> imaplib.IMAP4:
        """A session of the person's, kept for the run. Raises Skipped, Failed, OSError."""
        if self._reader is None:
            self._reader = self.new_reader()
        self._reader.sock.settimeout(self.left())
        return self._reader

    def new_reader(self) -> imaplib.IMAP4:
        """Another one, which the caller ends."""
        return clients.imap(self.settings, self.person.login, self.person.password, self.left())

    def drop_reader(self) -> None:
        """End the kept session; the next one who reads makes a new one."""
        if self._reader is not None:
            clients.close(self._reader)
            self._reader = None

    def note_mailboxes(self) -> None:
        """What is in the mailboxes now is not looked at by `found`: there may be much of it."""
        reader = self.reader()
        for mailbox in MAILBOXES:
            if reader.select(mailbox, readonly=True)[0] == "OK":
                (number,) = reader.response("UIDNEXT")[1]
                self._first[mailbox] = int(number or b"1")

    def found(self, *criteria: str) -> list[Mailbox]:
        """Messages that fit, in INBOX and where junk goes."""
        reader, found = self.reader(), []
        for mailbox in MAILBOXES:
            if reader.select(mailbox, readonly=True)[0] != "OK":
                continue
            data = reader.uid("SEARCH", "UID", f"{self._first.get(mailbox, 1)}:*", *criteria)[1]
            found += [(mailbox, int(number)) for number in (data[0] or b"").split()]
        return found

    def read(self, expected: str, identity: str, *criteria: str) -> bytes:
        """The one message that fits, as soon as it is there; `identity` is the id of what led to it. Raises Failed."""
        found: list[Mailbox] = []

        def look() -> bool:
            found[:] = self.found(*criteria)
            return bool(found)

        if not self.until(look):
            raise Failed(expected, f"no such message in the mailbox of {self.person.login}", self.advice(identity))
        if len(found) > 1:
            raise Failed(expected, f"{len(found)} of them", f"gatepost trace {identity}")
        (mailbox, uid), reader = found[0], self.reader()
        reader.select(mailbox, readonly=True)
        data = reader.uid("FETCH", str(uid), "(BODY.PEEK[])")[1]
        content = next((part[1] for part in data if isinstance(part, tuple)), b"")
        return bytes(content)

    def arrived(self, message: Message, identity: str) -> bytes:
        """A message of ours in the mailbox, whole and as it was sent. Raises Failed."""
        content = self.read("the message is in the mailbox once", identity, "SUBJECT", message.token)
        check_body(content, "in the mailbox")
        return content

    def forget(self) -> None:
        """Delete what self-tests have sent to the person, killed ones too."""
        reader = self.reader()
        self._first.clear()
        for mailbox, uid in self.found("HEADER", FIELD, SELFTEST):
            reader.select(mailbox)
            reader.uid("STORE", str(uid), "+FLAGS.SILENT", "(\\Deleted)")
            reader.uid("EXPUNGE", str(uid))


def check_body(content: bytes, place: str) -> None:
    """Raises Failed unless the text is as it was sent."""
    text = content.partition(b"\r\n\r\n")[2]
    if not text.startswith(BODY.encode()):
        raise Failed(
            f"the text of the message {place} is as it was sent", repr(text[:200]),
            "what stands between: a filter, a proxy, another program in the store?",
        )  # fmt: skip
