"""The state of one IMAP session and the loop that turns commands into dialogues."""

from __future__ import annotations

from dataclasses import dataclass, field

from directory.model import Condition, Deferred, Refused
from directory.port import Login
from gateway.ask import Dialogue
from gateway.imap.framing import Command, Framing, TooLong, WantsLiteral
from gateway.imap.names import BadName
from gateway.imap.parser import BadCommand, Parser
from gateway.imap.ports import Opened
from gateway.imap.registry import COMMANDS, State
from gateway.imap.settings import ImapSettings

BASE_CAPABILITIES = ("IMAP4rev1", "LITERAL+")
_RESPONSE_CODES = {
    Condition.AUTHENTICATION_FAILED: "[AUTHENTICATIONFAILED] ",
    Condition.MAILBOX_FULL: "[OVERQUOTA] ",
    Condition.SERVICE_NOT_ALLOWED: "[AUTHORIZATIONFAILED] ",
    Condition.PASSWORD_MUST_CHANGE: "[EXPIRED] ",
    Condition.BUG: "[SERVERBUG] ",
}


class No(Exception):
    """The command is refused: tagged NO; the message (with any response code) is for the client."""


@dataclass(slots=True)
class Session:
    """One connection."""

    settings: ImapSettings
    hostname: str
    address: str
    tls: str = ""
    plaintext_auth: bool = False
    framing: Framing = field(init=False)
    login: Login | None = None
    selected: Opened | None = None
    closing: bool = False
    errors: int = 0

    def __post_init__(self) -> None:
        self.framing = Framing(self.settings)

    @property
    def state(self) -> State:
        if self.selected is not None:
            return State.SELECTED
        return State.AUTHENTICATED if self.login is not None else State.NOT_AUTHENTICATED

    @property
    def logged_in(self) -> bool:
        return self.login is not None

    @property
    def patience(self) -> float:
        """Seconds that the client may be silent now."""
        return self.settings.idle_timeout

    def woken(self) -> Dialogue | None:
        """What to say after a change in the store."""
        return None

    def expired(self) -> Dialogue | None:
        """The client was silent for too long, or did not log in in time (RFC 9051 5.4)."""
        self.closing = True
        return self._say(b"* BYE silent for too long\r\n")

    def capability(self) -> str:
        """The capability list as it holds now."""
        announced = {facts.capability for facts in COMMANDS.values() if facts.capability}
        if self.login is None and not (self.tls or self.plaintext_auth):
            announced.add("LOGINDISABLED")
        return " ".join((*BASE_CAPABILITIES, *sorted(announced)))

    def greeting(self) -> bytes:
        return f"* OK [CAPABILITY {self.capability()}] {self.hostname} Gatepost ready\r\n".encode()

    def receive(self, data: bytes) -> None:
        self.framing.receive(data)

    def next_dialogue(self) -> Dialogue | None:
        """What to run next, None when more octets are needed."""
        event = self.framing.next()
        if event is None:
            return None
        if isinstance(event, WantsLiteral):
            return self._say(b"+ go ahead\r\n")
        if isinstance(event, TooLong):
            if event.close:
                self.closing = True
                return self._say(b"* BYE " + event.reason.encode() + b"\r\n")
            return self._bad(event.tag, event.reason)
        return self._command(event)

    @staticmethod
    def _say(text: bytes) -> Dialogue:
        yield text

    def _bad(self, tag: bytes, why: str) -> Dialogue:
        self.errors += 1
        limit = self.settings.max_errors if self.login else self.settings.max_errors_before_login
        yield (tag or b"*") + b" BAD " + why.encode("ascii", "replace") + b"\r\n"
        if self.errors > limit:
            self.closing = True
            yield b"* BYE too many errors\r\n"

    def _command(self, command: Command) -> Dialogue:
        parser = Parser(command.parts)
        tag = b"*"
        try:
            tag = parser.astring()
            parser.space()
            name = parser.atom().upper()
            facts = COMMANDS.get(name)
            if facts is None:
                raise BadCommand("unknown command")
            if self.state not in facts.states:
                raise BadCommand(f"not allowed when {self.state.value}")
            text = yield from facts.run(self, parser)
            yield tag + b" OK " + (text or f"{name.decode()} completed").encode() + b"\r\n"
        except BadCommand as error:
            yield from self._bad(tag, str(error))
        except BadName as error:
            yield tag + b" NO [CANNOT] " + str(error).encode() + b"\r\n"
        except No as error:
            yield tag + b" NO " + str(error).encode("utf-8") + b"\r\n"
        except Deferred as error:
            code = _RESPONSE_CODES.get(error.condition, "[UNAVAILABLE] ")
            yield tag + f" NO {code}{error.text}\r\n".encode()
        except Refused as error:
            if error.condition is Condition.AUTHENTICATION_FAILED:
                self.errors += 1
            yield tag + f" NO {_RESPONSE_CODES.get(error.condition, '')}{error.text}\r\n".encode()
            if self.login is None and self.errors > self.settings.max_errors_before_login:
                self.closing = True
                yield b"* BYE too many errors\r\n"
