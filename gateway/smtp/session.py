"""The state of one SMTP, submission or LMTP session and the loop that turns events into dialogues."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from directory.model import Condition, Deferred, Refused
from directory.port import Login
from gateway.ask import Ask, Dialogue
from gateway.mail.envelope import Envelope
from gateway.smtp import reply
from gateway.smtp.framing import Chunk, EndOfData, Framing, Line, LineTooLong
from gateway.smtp.grammar import SyntaxProblem
from gateway.smtp.requests import Accept, DropSpool, Spool
from gateway.smtp.settings import Role, SmtpSettings

IN_MEMORY = 256 * 1024  # a larger message is spooled while it arrives

Verb: TypeAlias = Callable[["Session", str], Dialogue]


@dataclass(slots=True)
class Client:
    """What is known of the peer."""

    address: str
    port: int = 0
    tls: str = ""


@dataclass(slots=True)
class Session:
    """One connection. Verbs change it, the driver reads `closing` after each step."""

    role: Role
    settings: SmtpSettings
    hostname: str
    client: Client
    framing: Framing = field(init=False)
    helo: str = ""
    extended: bool = False
    login: Login | None = None
    envelope: Envelope | None = None
    closing: bool = False
    starttls_possible: bool = False
    plaintext_auth: bool = False
    errors: int = 0
    _pieces: list[bytes] = field(default_factory=list)
    _size: int = 0
    _spooled: bool = False
    _too_large: bool = False
    _previous_cr: bool = False

    def __post_init__(self) -> None:
        self.framing = Framing(self.settings.max_command_line)

    def greeting(self) -> bytes:
        """The first reply."""
        word = "LMTP" if self.role is Role.LMTP else "ESMTP"
        return reply.reply(220, "", f"{self.hostname} {word} Gatepost")

    def receive(self, data: bytes) -> None:
        self.framing.receive(data)

    def next_dialogue(self) -> Dialogue | None:
        """What to run next, None when more octets are needed."""
        event = self.framing.next()
        if event is None:
            return None
        if isinstance(event, Line):
            return self._command(event.text)
        if isinstance(event, Chunk):
            return self._chunk(event.data)
        if isinstance(event, EndOfData):
            return self._end_of_data()
        assert isinstance(event, LineTooLong)
        return self._problem(reply.LINE_TOO_LONG)

    def reset(self) -> None:
        """Forget the transaction (RSET, EHLO, end of data)."""
        self.envelope = None
        self._pieces, self._size, self._spooled, self._too_large = [], 0, False, False

    def _problem(self, answer: bytes) -> Dialogue:
        self.errors += 1
        if self.errors > self.settings.max_errors:
            self.closing = True
            answer = reply.TOO_MANY_ERRORS
        yield answer

    def _command(self, line: bytes) -> Dialogue:
        from gateway.smtp.commands import VERBS  # the table needs Session, Session only needs it here

        word, _, rest = line.partition(b" ")
        try:
            name = word.decode("ascii").upper()
            argument = rest.decode("utf-8").strip()
        except UnicodeDecodeError:
            yield from self._problem(reply.reply(500, "5.5.2", "command is not UTF-8"))
            return
        if "\0" in argument or "\r" in argument:
            yield from self._problem(reply.reply(501, "5.5.2", "control character in command"))
            return
        verb = VERBS.get(name)
        if verb is None or self.role not in verb.roles:
            yield from self._problem(reply.UNKNOWN_COMMAND)
            return
        if verb.after_greeting and not self.helo:
            yield from self._problem(reply.reply(503, "5.5.1", "say EHLO first"))
            return
        try:
            yield from verb.run(self, argument)
        except (Deferred, Refused) as error:
            if isinstance(error, Refused):
                self.errors += 1
            yield reply.error_reply(error)
        except SyntaxProblem as error:
            yield from self._problem(reply.reply(501, "5.5.4", str(error)))

    def _chunk(self, data: bytes) -> Dialogue:
        data = data.replace(b"\r\n", b"\n")
        self._size += len(data)
        if self._size > self.settings.max_message_size:
            if self._spooled or self._pieces:
                self._pieces = []
                yield Ask(DropSpool())
            self._too_large = True
            return
        self._pieces.append(data)
        if self._size > IN_MEMORY:
            for piece in self._pieces:
                yield Ask(Spool(piece))
            self._pieces, self._spooled = [], True

    def _end_of_data(self) -> Dialogue:
        envelope = self.envelope
        assert envelope is not None
        pieces, size, too_large = tuple(self._pieces), self._size, self._too_large
        self.reset()
        if too_large:
            yield from self._answers(envelope, [Refused(Condition.MESSAGE_TOO_LARGE)] * len(envelope.recipients))
            return
        try:
            outcomes = yield Ask(Accept(envelope, pieces, size))
        except (Deferred, Refused) as error:
            outcomes = [error] * len(envelope.recipients)
        yield from self._answers(envelope, outcomes)

    def _answers(self, envelope: Envelope, outcomes: list[Deferred | Refused | None]) -> Dialogue:
        """One reply, or with LMTP one for each recipient (RFC 2033 4.2)."""
        answers = [reply.OK if error is None else reply.error_reply(error) for error in outcomes]
        if self.role is Role.LMTP:
            yield b"".join(answers)
            return
        failed = next((a for a, error in zip(answers, outcomes, strict=True) if error is not None), None)
        accepted = any(error is None for error in outcomes)
        yield reply.OK if accepted or failed is None else failed
