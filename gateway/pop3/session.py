"""The state of one POP3 session and the loop that turns lines into dialogues (RFC 1939)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count

from directory.model import Condition, Deferred, Refused
from gateway.ask import Ask, Dialogue
from gateway.pop3.languages import DEFAULT, told
from gateway.pop3.ports import Login, Maildrop, Message, TooSoon
from gateway.pop3.registry import COMMANDS, Wrong
from gateway.pop3.settings import Pop3Settings

_FINAL_LOGIN = {Condition.AUTHENTICATION_FAILED, Condition.SERVICE_NOT_ALLOWED, Condition.PASSWORD_MUST_CHANGE}


@dataclass(slots=True)
class Session:
    """One connection. `deleted` holds UIDs marked by DELE, removed at QUIT only."""

    settings: Pop3Settings
    hostname: str
    address: str
    tls: str = ""
    plaintext_auth: bool = False
    may_start_tls: bool = False
    closing: bool = False
    errors: int = 0
    user: bytes | None = None
    maildrop: Maildrop | None = None
    deleted: set[int] = field(default_factory=set)
    #: UIDs that RETR has given out
    retrieved: set[int] = field(default_factory=set)
    #: messages go out as they are, UTF-8 in headers too (RFC 6856 2.1)
    is_utf8: bool = False
    language: str = DEFAULT
    _buffer: bytearray = field(default_factory=bytearray)
    #: takes the next line instead of the commands (AUTH)
    pending: Callable[[bytes], Dialogue] | None = None

    @property
    def patience(self) -> float | None:
        """Seconds that the client may be silent; None before the login."""
        return self.settings.idle_timeout if self.maildrop is not None else None

    def woken(self) -> Dialogue | None:
        """Nothing is ever said without being asked."""
        return None

    def expired(self) -> Dialogue | None:
        """The client was silent for too long: no reply, nothing is removed (RFC 1939 3)."""
        self.closing = True
        return None

    def greeting(self) -> bytes:
        return f"+OK {self.hostname} Gatepost POP3 ready\r\n".encode()

    def receive(self, data: bytes) -> None:
        self._buffer += data

    def discard(self) -> None:
        """Forget what was received (RFC 2595 4: nothing sent before TLS counts after it)."""
        self._buffer.clear()

    def take_line(self) -> bytes | None:
        """The next line, None when more octets are needed."""
        end = self._buffer.find(b"\n")
        limit = self.settings.max_auth_line
        if end < 0 and len(self._buffer) <= limit:
            return None
        if end < 0 or end > limit:
            raise Wrong("line too long")
        line = bytes(self._buffer[:end]).removesuffix(b"\r")
        del self._buffer[: end + 1]
        return line

    def next_dialogue(self) -> Dialogue | None:
        """What to run next, None when more octets are needed."""
        try:
            line = self.take_line()
        except Wrong as error:
            self.closing = True
            return self._say(str(error))
        return None if line is None else self._run(line)

    def ok(self, text: str) -> bytes:
        """A reply of one line, in the client's language."""
        return f"+OK {told(text, self.language)}\r\n".encode()

    def _error(self, text: str) -> bytes:
        """The text may begin with a response code."""
        code, bracket, rest = text.partition("] ") if text.startswith("[") else ("", "", text)
        return f"-ERR {code}{bracket}{told(rest, self.language)}\r\n".encode()

    def _say(self, text: str) -> Dialogue:
        yield self._error(text)

    def _run(self, line: bytes) -> Dialogue:
        name, _, argument = line.partition(b" ")
        facts = COMMANDS.get(name.upper())
        pending, self.pending = self.pending, None
        try:
            if pending is not None:
                yield from pending(line)
                return
            if len(line) > self.settings.max_line and name.upper() != b"AUTH":
                raise Wrong("line too long")
            if facts is None:
                raise Wrong("unknown command")
            if facts.logged_in is not None and facts.logged_in is not (self.maildrop is not None):
                raise Wrong("not in this state")
            yield from facts.run(self, argument)
            return
        except Deferred as error:
            code = "IN-USE" if error.condition is Condition.MAILDROP_IN_USE else "SYS/TEMP"
            yield self._error(f"[{code}] {error.text}")
            return
        except Refused as error:
            code = "[AUTH] " if error.condition in _FINAL_LOGIN else ""
            yield self._error(f"{code}{error.text}")
        except Wrong as error:
            yield self._error(str(error))
        self.errors += 1
        limit = self.settings.max_errors if self.maildrop else self.settings.max_errors_before_login
        if self.errors > limit:
            self.closing = True

    def require_privacy(self) -> None:
        """Raises Wrong where a password would cross the wire in clear text."""
        if not (self.tls or self.plaintext_auth):
            raise Wrong("encryption needed before login")

    def log_in(self, name: str, password: str) -> Dialogue:
        """Prove the login and open the maildrop. An empty password is an anonymous bind (RFC 4513 5.1.2)."""
        if not password:
            raise Refused(Condition.AUTHENTICATION_FAILED, "empty password")
        opened: Maildrop | TooSoon = yield Ask(Login(name, password))
        if isinstance(opened, TooSoon):
            raise Wrong("[LOGIN-DELAY] you have logged in just now, try again later")
        self.maildrop = opened
        yield self.ok("maildrop open")

    def living(self) -> Iterator[Message]:
        """Messages that are not marked."""
        assert self.maildrop is not None
        numbered = zip(count(1), self.maildrop.uids, self.maildrop.sizes, strict=False)
        return (Message(n, uid, size) for n, uid, size in numbered if uid not in self.deleted)

    def message(self, argument: bytes) -> Message:
        """The message a number names. Raises Wrong."""
        assert self.maildrop is not None
        if not (argument.isdigit() and len(argument) <= 10):
            raise Wrong("message number expected")
        number = int(argument)
        if not 1 <= number <= len(self.maildrop.uids):
            raise Wrong("no such message")
        message = Message(number, self.maildrop.uids[number - 1], self.maildrop.sizes[number - 1])
        if message.uid in self.deleted:
            raise Wrong("message is deleted")
        return message
