"""The state of one IMAP session and the loop that turns commands into dialogues."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

from directory.model import Condition, Deferred, Refused
from directory.port import Login
from gateway.ask import Ask, Dialogue
from gateway.imap.fetch_body import Cut, Place
from gateway.imap.framing import Command, Framing, LineTooLong, TooLong, WantsLiteral
from gateway.imap.names import BadName, mailbox_name, quoted
from gateway.imap.notifying import Selected, TellNews
from gateway.imap.parser import BadCommand, Parser
from gateway.imap.ports import Failure, Opened, Refresh
from gateway.imap.registry import CAPABILITIES, COMMANDS, CommandFacts, Interactive, Need, Phase, State
from gateway.imap.settings import ImapSettings
from gateway.imap.status_items import status_line
from gateway.imap.switches import is_announced, unknown_commands, withheld

SPREAD = 64  # signs of life in IDLE come up to a quarter early, in so many steps
BASE_CAPABILITIES = ("IMAP4rev1", "IMAP4rev2", "LITERAL+")
_RESPONSE_CODES = {
    Condition.AUTHENTICATION_FAILED: "[AUTHENTICATIONFAILED] ",
    Condition.MAILBOX_FULL: "[OVERQUOTA] ",
    Condition.SERVICE_NOT_ALLOWED: "[AUTHORIZATIONFAILED] ",
    Condition.PASSWORD_MUST_CHANGE: "[EXPIRED] ",
    Condition.BUG: "[SERVERBUG] ",
}


@lru_cache
def _capability(phase: Phase) -> str:
    announced = [
        f"{name}={value}" if isinstance(value, str) else name
        for name, when in CAPABILITIES.items()
        if is_announced(name, phase.without) and (value := when(phase))
    ]
    if not phase.logged_in and not phase.private:
        announced.append("LOGINDISABLED")
    base = [name for name in BASE_CAPABILITIES if is_announced(name, phase.without)]
    return " ".join((*base, *sorted(announced)))


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
    starttls_possible: bool = False
    framing: Framing = field(init=False)
    login: Login | None = None
    selected: Opened | None = None
    closing: bool = False
    errors: int = 0
    #: MODSEQ is told with every change of flags (RFC 7162 3.1)
    condstore: bool = False
    #: what is gone is told by UID (RFC 7162 3.2.3)
    qresync: bool = False
    #: IMAP4rev2 (RFC 9051) is what is spoken
    rev2: bool = False
    #: mailbox names are UTF-8 (RFC 9051 5.1, RFC 9755 3)
    utf8: bool = False
    #: no message numbers (RFC 9586)
    uid_only: bool = False
    #: the connection is compressed (RFC 4978)
    compressed: bool = False
    #: who is logged in, as `imap.without` names people and groups, and what the client calls itself
    names: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    client: str = ""
    #: what is switched off for them
    without: frozenset[str] = frozenset()
    #: of the command that runs
    tag: bytes = b"*"
    #: where the last partial FETCH ended
    place: Place | None = None
    #: NOTIFY is on; what it tells of the selected mailbox
    is_notifying: bool = False
    notified: Selected | None = None
    #: IDLE is under way
    idling: bool = False
    #: an interactive command and what it waits for
    suspended: tuple[Interactive, Need] | None = None

    def __post_init__(self) -> None:
        self.framing = Framing(self.settings)
        self.switch()

    @property
    def state(self) -> State:
        if self.selected is not None:
            return State.SELECTED
        return State.AUTHENTICATED if self.login is not None else State.NOT_AUTHENTICATED

    @property
    def patience(self) -> float | None:
        """Seconds that the client may be silent now; None before the login."""
        if self.login is None:
            return None
        if not self.idling:
            return self.settings.idle_timeout
        # thousands that came together (after a restart) shall not all be looked after in the same second
        return self.settings.idle_keepalive * (1 - (id(self) // 64 % SPREAD) / (4 * SPREAD))

    def woken(self) -> Dialogue | None:
        """What to say after a change in the store."""
        if self.idling:
            return self._news(may_look=False)
        # in the middle of an APPEND it waits for the end of that
        return self._notify() if self.is_notifying and self.suspended is None else None

    def expired(self) -> Dialogue | None:
        """The client was silent for too long, or did not log in in time (RFC 9051 5.4).

        In IDLE it may be: it is told that the server is there, so that nobody between takes the connection
        for dead, and the truth is read, in case a hint was lost.
        """
        if self.idling:
            return self._news(may_look=True)
        self.closing = True
        return self._say(b"* BYE silent for too long\r\n")

    def _news(self, *, may_look: bool) -> Dialogue:
        try:
            if may_look:
                yield b"* OK Still here\r\n"
                yield from self.look()
            yield from self._tell_selected(may_expunge=True)
            yield from self.tell_news()
        except (Deferred, Refused):
            pass  # told with the next change

    def _notify(self) -> Dialogue:
        """What NOTIFY tells between commands."""
        try:
            if self.notified is not None:
                yield from self._tell_selected(may_expunge=not self.notified.is_delayed)
            yield from self.tell_news()
        except (Deferred, Refused):
            pass  # told with the next change

    def _tell_selected(self, *, may_expunge: bool) -> Dialogue:
        """As `changes`, and of new messages what NOTIFY wants told with them (RFC 5465 5.2)."""
        fetch = self.notified.fetch if self.notified is not None else None
        last = self.selected.view.last_uid if self.selected is not None else 0
        yield from self.changes(may_expunge=may_expunge)
        if self.selected is not None and fetch is not None:
            view = self.selected.view
            yield from fetch(view.numbers(((last + 1, 0),), by_uid=True) if view.last_uid > last else ())

    def news_items(self) -> list[bytes]:
        """What STATUS tells unasked (RFC 5465 5)."""
        items = [b"MESSAGES", b"UNSEEN", b"UIDNEXT", b"UIDVALIDITY"]
        return [*items, b"HIGHESTMODSEQ"] if self.condstore else items

    def tell_news(self) -> Dialogue:
        """Tell what has changed in mailboxes that NOTIFY watches. Raises Deferred."""
        if not self.is_notifying:
            return
        told = yield Ask(TellNews())
        if told is None:
            self.is_notifying, self.notified = False, None
            yield b"* OK [NOTIFICATIONOVERFLOW] too much has changed, NOTIFY has ended\r\n"
            return
        for news in told:
            name = self.quoted(news.name)
            if news.is_named:
                gone = b"\\NonExistent" if news.figures is None else b""
                old = b' ("OLDNAME" (%b))' % self.quoted(news.old_name) if news.old_name else b""
                yield b'* LIST (%b) "/" %b%b\r\n' % (gone, name, old)
            if news.figures is not None:
                yield status_line(name, self.news_items(), news.figures)

    @property
    def private(self) -> bool:
        """A password may cross this connection."""
        return bool(self.tls or self.plaintext_auth)

    def capability(self) -> str:
        """The capability list as it holds now."""
        upgradable = self.starttls_possible and not self.tls
        return _capability(
            Phase(
                self.login is not None,
                self.private,
                upgradable,
                self.settings.max_append,
                self.compressed,
                self.without,
            )
        )

    def switch(self) -> bool:
        """Find out what is switched off now that more is known of the client; True when that has changed."""
        before = self.without
        if self.settings.without:
            self.without = withheld(self.settings.without, self.names, self.groups, self.client)
        return self.without != before

    def require(self, capability: str) -> None:
        """Raises BadCommand for what belongs to an extension that is switched off."""
        if capability in self.without:
            raise BadCommand("unknown parameter")

    def use_condstore(self) -> None:
        """The client has shown that it knows MODSEQs (RFC 7162 3.1). Raises BadCommand where that is switched off."""
        self.require("CONDSTORE")
        self.condstore = True

    def greeting(self) -> bytes:
        return f"* OK [CAPABILITY {self.capability()}] {self.hostname} Gatepost ready\r\n".encode()

    def log_out(self) -> None:
        """Forget who is logged in and everything that was said since (RFC 8437 3)."""
        self.login = self.selected = self.place = self.notified = None
        self.is_notifying = False
        self.condstore = self.qresync = self.rev2 = self.utf8 = self.uid_only = False
        self.framing.logged_in = False
        self.names = self.groups = frozenset()
        self.switch()

    def receive(self, data: bytes) -> None:
        self.framing.receive(data)

    def next_dialogue(self) -> Dialogue | None:
        """What to run next, None when more octets are needed."""
        if self.suspended is not None:
            return self._resumed(*self.suspended)
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
        words = event.parts[0].upper().split(b" ", 3)
        facts = COMMANDS.get(b" ".join(words[1:3] if words[1:2] == [b"UID"] else words[1:2]))
        return self._interactive(self._command(event)) if facts and facts.interactive else self._command(event)

    def _resumed(self, command: Interactive, need: Need) -> Dialogue | None:
        """Give a suspended command what it waits for, None when it has not come yet."""
        try:
            said = self.framing.take(need.limit) if need.limit else self.framing.take_line()
        except LineTooLong:
            self.suspended = None
            self.closing = True
            return self._say(b"* BYE line too long\r\n")
        if said is None:
            return None
        self.suspended = None
        return self._interactive(command, said)

    def _interactive(self, command: Interactive, answer: object = None) -> Dialogue:
        """Run a command until it ends or needs what the client says next."""
        error: Deferred | Refused | None = None
        while True:
            try:
                step = command.throw(error) if error is not None else command.send(answer)
            except StopIteration:
                return
            answer = error = None
            if isinstance(step, Need):
                self.suspended = command, step
                return
            try:
                answer = yield step
            except (Deferred, Refused) as problem:
                error = problem

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

    def mailbox_name(self, octets: bytes) -> str:
        """A mailbox's name as the store knows it. Raises BadName."""
        return mailbox_name(octets, utf8=self.utf8)

    def quoted(self, name: str) -> bytes:
        """A mailbox's name for a response."""
        return quoted(name, utf8=self.utf8)

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

    def look(self, *, files: bool = True) -> Dialogue:
        """Read what has changed in the selected mailbox; `changes` tells it. Raises Deferred.

        `files` is about what other programs did to them, of which there is no hint. A mailbox that is gone, or may
        not be read any more, ends the session.
        """
        if self.selected is None:
            return
        try:
            is_there = yield Ask(Refresh(files))
        except Refused:
            is_there = False
        if not is_there:
            self.selected = None
            self.closing = True
            yield b"* BYE the selected mailbox is gone\r\n"

    def changes(self, *, may_expunge: bool) -> Dialogue:
        """Tell what has changed in the selected mailbox, as far as it is known or hinted at."""
        if self.selected is not None and self.selected.view.is_stale:
            yield from self.look(files=False)
        if self.selected is not None:
            view, contexts = self.selected.view, tuple(self.selected.contexts.values())
            # in one piece: while a client reads slowly, more may be expunged
            text = b"".join([line for context in contexts if may_expunge for line in context.leaving(view)])
            text += view.changes(
                may_expunge=may_expunge,
                with_modseq=self.condstore,
                by_uid=self.qresync or self.uid_only,
                uid_only=self.uid_only,
            )
            if text:
                yield text
            for context in contexts:
                yield from context.update(view)

    @property
    def _has_changes(self) -> bool:
        return self.selected is not None and (self.selected.view.is_pending or self.selected.is_behind)

    def expunged(self) -> Dialogue:
        """Tell what a command has removed; its OK then says up to where the client knows all (RFC 7162 3.2.7)."""
        if not self.qresync:
            return ""
        yield from self.changes(may_expunge=True)
        return f"[HIGHESTMODSEQ {self.selected.view.told}] expunged" if self.selected is not None else ""

    def _facts(self, parser: Parser) -> CommandFacts:
        name = parser.atom().upper()
        if name == b"UID":
            parser.space()
            name += b" " + parser.atom().upper()
        facts = COMMANDS.get(name)
        if facts is None or (self.without and name in unknown_commands(self.without)):
            raise BadCommand("unknown command")
        if facts.takes_numbers and self.uid_only:
            raise BadCommand("[UIDREQUIRED] message numbers are not used after ENABLE UIDONLY")
        if self.state not in facts.states:
            raise BadCommand(f"not allowed when {self.state.value}")
        return facts

    def _command(self, command: Command) -> Dialogue:
        parser = Parser(command.parts, command.message)
        tag, keeps_numbers = b"*", False
        try:
            tag = self.tag = parser.tag()
            parser.space()
            facts = self._facts(parser)
            keeps_numbers = facts.keeps_numbers
            text = yield from facts.run(self, parser)
            if text is None:
                return
            if self.login is not None:
                self.errors = 0  # a program that tries now and then what is not there is no attack
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
        if parser.refused is not None:
            self.framing.skip(parser.refused)
        if self._has_changes and not self.closing:
            try:
                yield from self._tell_selected(may_expunge=not keeps_numbers)
            except (Deferred, Refused):
                pass  # told with a later command
        if self.is_notifying and not self.closing:
            try:
                yield from self.tell_news()
            except (Deferred, Refused):
                pass  # told with a later command
        yield tag + answer + b"\r\n"
        yield from self._enough()
