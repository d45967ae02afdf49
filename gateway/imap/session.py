"""The state of one IMAP session and the loop that turns commands into dialogues."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

from directory.model import Condition, Deferred, Refused
from directory.port import Login
from gateway.ask import Ask, Dialogue
from gateway.imap.fetch_body import Cut, Place
from gateway.imap.framing import Command, Framing, TooLong, WantsLiteral
from gateway.imap.names import BadName
from gateway.imap.parser import BadCommand, Parser
from gateway.imap.ports import Failure, Opened, Refresh
from gateway.imap.registry import CAPABILITIES, COMMANDS, CommandFacts, Phase, State
from gateway.imap.settings import ImapSettings

BASE_CAPABILITIES = ("IMAP4rev1", "LITERAL+")
_RESPONSE_CODES = {
    Condition.AUTHENTICATION_FAILED: "[AUTHENTICATIONFAILED] ",
    Condition.MAILBOX_FULL: "[OVERQUOTA] ",
    Condition.SERVICE_NOT_ALLOWED: "[AUTHORIZATIONFAILED] ",
    Condition.PASSWORD_MUST_CHANGE: "[EXPIRED] ",
    Condition.BUG: "[SERVERBUG] ",
}


@lru_cache
def _capability(phase: Phase) -> str:
    announced = [name for name, when in CAPABILITIES.items() if when(phase)]
    if not phase.logged_in and not phase.private:
        announced.append("LOGINDISABLED")
    return " ".join((*BASE_CAPABILITIES, *sorted(announced)))


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
    #: MODSEQ is told with every change of flags (RFC 7162 3.1)
    condstore: bool = False
    #: of the command that runs
    tag: bytes = b"*"
    #: where the last partial FETCH ended
    place: Place | None = None

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
        return _capability(Phase(self.login is not None, bool(self.tls or self.plaintext_auth), False))

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
        yield (tag or b"*") + b" BAD " + why.encode("ascii", "replace") + b"\r\n"
        yield from self._enough()

    def _enough(self) -> Dialogue:
        """End the session when there were too many errors."""
        if self.errors > (self.settings.max_errors if self.login else self.settings.max_errors_before_login):
            self.closing = True
            yield b"* BYE too many errors\r\n"

    def ask(self, request: object) -> Dialogue:
        """The answer to a request that may fail for a reason of the client's. Raises No."""
        answer = yield Ask(request)
        if isinstance(answer, Failure):
            raise No(f"[{answer.code}] {answer.text}")
        return answer

    def writable(self) -> Opened:
        """The selected mailbox. Raises No when it may only be read."""
        assert self.selected is not None
        if self.selected.read_only:
            raise No("the mailbox is read-only")
        return self.selected

    def look(self) -> Dialogue:
        """Read what has changed in the selected mailbox; `changes` tells it. A mailbox that is gone ends the session."""
        if self.selected is not None and not (yield Ask(Refresh())):
            self.selected = None
            self.closing = True
            yield b"* BYE the selected mailbox is gone\r\n"

    def changes(self, *, may_expunge: bool) -> Dialogue:
        """Tell what has changed in the selected mailbox, as far as it is known or hinted at."""
        if self.selected is not None and self.selected.view.is_stale:
            yield from self.look()
        if self.selected is not None:
            text = self.selected.view.changes(may_expunge=may_expunge, with_modseq=self.condstore)
            if text:
                yield text

    def _facts(self, parser: Parser) -> CommandFacts:
        name = parser.atom().upper()
        if name == b"UID":
            parser.space()
            name += b" " + parser.atom().upper()
        facts = COMMANDS.get(name)
        if facts is None:
            raise BadCommand("unknown command")
        if self.state not in facts.states:
            raise BadCommand(f"not allowed when {self.state.value}")
        return facts

    def _command(self, command: Command) -> Dialogue:
        parser = Parser(command.parts)
        tag, keeps_numbers = b"*", False
        try:
            tag = self.tag = parser.astring()
            parser.space()
            facts = self._facts(parser)
            keeps_numbers = facts.keeps_numbers
            text = yield from facts.run(self, parser)
            answer = b" OK " + (text or f"{facts.name.decode()} completed").encode()
        except Cut:
            self.closing = True
            return
        except BadCommand as error:
            self.errors += 1
            answer = b" BAD " + str(error).encode("ascii", "replace")
        except BadName as error:
            answer = b" NO [CANNOT] " + str(error).encode()
        except No as error:
            answer = b" NO " + str(error).encode("utf-8")
        except Deferred as error:
            answer = f" NO {_RESPONSE_CODES.get(error.condition, '[UNAVAILABLE] ')}{error.text}".encode()
        except Refused as error:
            self.errors += error.condition is Condition.AUTHENTICATION_FAILED
            answer = f" NO {_RESPONSE_CODES.get(error.condition, '')}{error.text}".encode()
        if self.selected is not None and self.selected.view.is_pending:
            try:
                yield from self.changes(may_expunge=not keeps_numbers)
            except Deferred:
                pass  # told with a later command
        yield tag + answer + b"\r\n"
        yield from self._enough()
