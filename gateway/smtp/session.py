"""The state of one SMTP, submission or LMTP session and the loop that turns events into dialogues."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from directory.model import Deferred, Refused
from directory.port import Login
from gateway.ask import Ask, Dialogue
from gateway.mail.envelope import Envelope
from gateway.smtp import reply
from gateway.smtp.framing import Chunk, EndOfData, Framing, Line, LineTooLong
from gateway.smtp.grammar import SyntaxProblem
from gateway.smtp.incoming import Incoming
from gateway.smtp.registry import VERBS
from gateway.smtp.requests import Accept, Accepted, DropSpool, Outcome
from gateway.smtp.settings import Role, SmtpSettings

Verb: TypeAlias = Callable[["Session", str], Dialogue]


@dataclass(slots=True)
class Client:
    """What is known of the peer. `tls` is version and cipher, "" while the connection is in the clear."""

    address: str
    port: int = 0
    tls: str = ""
    #: of the program at the other end of a unix socket, where that matters
    uid: int | None = None


@dataclass(slots=True)
class Session:
    """One connection. Verbs change it, the driver reads `closing` and `receiving` after each step."""

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
    #: put behind addresses without a domain; "" = they are refused
    origin: str = ""
    #: when the connection came, unix time
    began: float = 0.0
    errors: int = 0
    junk: int = 0
    login_failures: int = 0
    #: takes the next lines instead of the verbs (AUTH)
    exchange: Callable[[bytes], Dialogue] | None = None
    incoming: Incoming | None = None
    #: the reply to a BDAT that is not the last, or that was wrong from the start
    chunk_reply: bytes | None = None

    def __post_init__(self) -> None:
        self.framing = Framing(self.settings.max_command_line)
        if self.role is Role.SUBMISSION:
            self.framing.max_line = self.settings.max_auth_line

    def greeting(self) -> bytes:
        """The first reply."""
        word = "LMTP" if self.role is Role.LMTP else "ESMTP"
        return reply.reply(220, "", f"{self.hostname} {word} Gatepost")

    def receive(self, data: bytes) -> None:
        self.framing.receive(data)

    @property
    def tls(self) -> str:
        """Version and cipher, "" in the clear."""
        return self.client.tls

    @tls.setter
    def tls(self, value: str) -> None:
        self.client.tls = value

    @property
    def patience(self) -> float:
        """Seconds that the client may be silent."""
        return self.settings.command_timeout

    def woken(self) -> Dialogue | None:
        """Nothing is ever said without being asked."""
        return None

    def expired(self) -> Dialogue | None:
        """The client was silent or slow for too long (RFC 5321 4.5.3.2)."""
        self.closing = True
        return self._say(reply.TIMEOUT)

    @staticmethod
    def _say(text: bytes) -> Dialogue:
        yield text

    @property
    def receiving(self) -> bool:
        """True while what comes is a message."""
        return self.framing.in_message

    @property
    def may_login(self) -> bool:
        """True where a password may be sent: submission, under TLS or where the configuration allows it."""
        return self.role is Role.SUBMISSION and bool(self.client.tls or self.plaintext_auth)

    def next_dialogue(self) -> Dialogue | None:
        """What to run next, None when more octets are needed."""
        event = self.framing.next()
        if event is None:
            return None
        if isinstance(event, Line):
            return self._line(event.text)
        if isinstance(event, Chunk):
            return self._chunk(event.data)
        if isinstance(event, EndOfData):
            return self._end_of_data()
        assert isinstance(event, LineTooLong)
        self.exchange = None
        return self.problem(reply.LINE_TOO_LONG)

    def reset(self) -> Dialogue:
        """Forget the transaction (RSET, EHLO, STARTTLS)."""
        spooled = self.incoming is not None and self.incoming.spooled
        self.envelope = self.incoming = None
        if spooled:
            yield Ask(DropSpool())

    def forget_client(self) -> None:
        """Back to the state behind the greeting (RFC 3207 4.2)."""
        self.helo, self.extended, self.login, self.exchange = "", False, None, None

    def problem(self, answer: bytes) -> Dialogue:
        """Answer something that is wrong; too many of it end the session."""
        self.errors += 1
        if self.errors > self.settings.max_errors:
            self.closing = True
            answer = reply.TOO_MANY_ERRORS
        yield answer

    def complete(self, path: str) -> str:
        """`path` with the domain that belongs to an address without one, where this service has one."""
        return f"{path}@{self.origin}" if self.origin and path and "@" not in path else path

    def start_message(self) -> Incoming:
        """The message of this transaction, begun when there is none yet."""
        if self.incoming is None:
            self.incoming = Incoming(self.settings, self.role)
        return self.incoming

    def _line(self, line: bytes) -> Dialogue:
        if self.exchange is not None:
            yield from self.exchange(line)
            return
        word, _, rest = line.partition(b" ")
        verb = VERBS.get(word.upper())
        if len(line) > self.settings.max_command_line and (verb is None or verb.name != "AUTH"):
            yield from self.problem(reply.LINE_TOO_LONG)
            return
        try:
            argument = rest.decode("utf-8").strip()
        except UnicodeDecodeError:
            yield from self.problem(reply.reply(500, "5.5.2", "command is not UTF-8"))
            return
        if not argument.isprintable() and any(c < " " or c == "\x7f" for c in argument):
            yield from self.problem(reply.reply(501, "5.5.2", "control character in command"))
            return
        if verb is None:
            yield from self.problem(reply.UNKNOWN_COMMAND)
            return
        if self.role not in verb.roles:
            # RFC 2033 4.1: LMTP answers HELO and EHLO with 500
            yield from self.problem(reply.UNKNOWN_COMMAND if self.role is Role.LMTP else reply.NOT_HERE)
            return
        if verb.after_greeting and not self.helo:
            yield from self.problem(
                reply.reply(503, "5.5.1", f"say {'LHLO' if self.role is Role.LMTP else 'EHLO'} first")
            )
            return
        if verb.junk:
            self.junk += 1
            if self.junk > self.settings.max_junk_commands:
                self.closing = True
                yield reply.TOO_MANY_ERRORS
                return
        try:
            yield from verb.run(self, argument)
        except Deferred as error:
            yield reply.error_reply(error)
        except Refused as error:
            yield from self.problem(reply.error_reply(error))
        except SyntaxProblem as error:
            yield from self.problem(reply.reply(501, "5.5.4", str(error)))

    def _chunk(self, data: bytes) -> Dialogue:
        if self.incoming is not None:
            yield from self.incoming.add(data)

    def _end_of_data(self) -> Dialogue:
        if self.chunk_reply is not None:
            answer, self.chunk_reply = self.chunk_reply, None
            if self.incoming is not None and self.incoming.failed is not None:
                answer = reply.error_reply(self.incoming.failed)
                yield from self.reset()  # the chunks that follow are answered 503 (RFC 3030 2)
            yield answer
            return
        envelope, incoming = self.envelope, self.incoming
        assert envelope is not None
        assert incoming is not None
        self.envelope = None
        self.junk = 0
        yield from incoming.finish()
        self.incoming = None
        message_id = ""
        outcomes: list[Outcome] = [incoming.failed] * len(envelope.recipients)
        if incoming.failed is None:
            try:
                accepted: Accepted = yield Ask(Accept(envelope, incoming.content(), incoming.size, incoming.spooled))
                message_id, outcomes = accepted.id, accepted.outcomes
            except (Deferred, Refused) as error:
                outcomes = [error] * len(envelope.recipients)
        yield self._answer(message_id, outcomes)

    def _answer(self, message_id: str, outcomes: list[Outcome]) -> bytes:
        """One reply, or with LMTP one for each recipient (RFC 2033 4.2)."""
        accepted = reply.reply(250, "2.0.0", f"OK id={message_id}")
        if self.role is Role.LMTP:
            return b"".join(accepted if error is None else reply.error_reply(error) for error in outcomes)
        failed = None
        for error in outcomes:
            if error is None:
                return accepted
            if failed is None or isinstance(error, Deferred):
                failed = error  # a second attempt may reach those that were deferred
        assert failed is not None
        return reply.error_reply(failed)
