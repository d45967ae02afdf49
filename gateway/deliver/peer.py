"""One connection to a mail host, as SMTP (RFC 5321) or LMTP (RFC 2033) client.

A recipient has an outcome as soon as the peer's last word on him is known; trouble with the connection raises
OSError and leaves the others without one. `unanswered` then says whether the peer may have taken the message
without our seeing it (RFC 1047): such a message is sent again, and may come twice.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator

from directory.model import Condition, Deferred, Refused
from gateway.deliver.content import Nature, chunked, dotted, nature
from gateway.deliver.port import Addressee, Outcome, Parcel, Stream, TlsWish
from gateway.deliver.reply import ProtocolTrouble, Reply, read_reply
from gateway.route.relay_settings import Timeouts

#: RCPT commands written before their replies are read: no peer's buffer fills while ours does (RFC 2920 3.1)
PIPELINED = 100
_PLAIN_ADDRESS = re.compile(r"[^\x00-\x20<>\x7f]+\Z|\"[^\x00-\x1f\x7f]*\"@[^\x00-\x20<>\x7f]+\Z")
_PARAMETER = re.compile(r"[\x21-\x3c\x3e-\x7e]+\Z")
BLOCK = 128 * 1024
LAST_WORDS_SECONDS = 2.0
TOO_MANY_RECIPIENTS = 552  # RFC 5321 4.5.3.1.10: a RCPT answer that means 452


class PeerRefuses(Exception):
    """The peer does not want to talk to us; `reply` says why."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.literal)
        self.reply = reply


class Peer:
    """The client's side of a connection. `host` is what outcomes and reports call the peer."""

    def __init__(
        self, stream: Stream, host: str, hostname: str, timeouts: Timeouts, *, lmtp: bool = False, address: str = ""
    ) -> None:
        self.stream, self.host, self.address = stream, host, address
        self._hostname, self._times, self._lmtp = hostname, timeouts, lmtp
        #: EHLO keywords and their parameters
        self.keywords: dict[str, str] = {}
        #: transactions that were begun
        self.used = 0
        self.unanswered = False
        #: the connection is good enough for the message it was opened for, maybe not for another one
        self.is_for_one = False

    @property
    def is_open(self) -> bool:
        return self.stream.is_open

    def has(self, keyword: str) -> bool:
        return keyword in self.keywords

    async def _command(self, line: str, seconds: float) -> Reply:
        await self.stream.write(line.encode() + b"\r\n", seconds)
        return await read_reply(self.stream, seconds)

    # the connection

    async def greet(self) -> None:
        """Greeting and EHLO. Raises PeerRefuses, OSError."""
        greeting = await read_reply(self.stream, self._times.greeting)
        if greeting.code != 220:
            raise PeerRefuses(greeting)
        await self._hello()

    async def _hello(self) -> None:
        verb = "LHLO" if self._lmtp else "EHLO"
        answer = await self._command(f"{verb} {self._hostname}", self._times.command)
        self.keywords = {}
        if answer.is_good:
            for line in answer.lines[1:]:
                keyword, _, rest = line.strip().partition(" ")
                self.keywords[keyword.upper()] = rest.strip()
            return
        if self._lmtp or not 500 <= answer.code < 600:
            raise PeerRefuses(answer)
        answer = await self._command(f"HELO {self._hostname}", self._times.command)
        if not answer.is_good:
            raise PeerRefuses(answer)

    async def start_tls(self, wish: TlsWish) -> bool:
        """Upgrade (RFC 3207) and greet anew; False when the peer refuses the command. Raises PeerRefuses, OSError."""
        answer = await self._command("STARTTLS", self._times.command)
        if answer.code != 220:
            return False
        await self.stream.start_tls(wish, self._times.tls)
        await self._hello()
        return True

    async def login(self, name: str, password: str) -> None:
        """AUTH PLAIN (RFC 4616). Raises PeerRefuses, OSError; never sends a password in the clear."""
        if not self.stream.tls:
            raise ProtocolTrouble("no TLS, no password")
        if "PLAIN" not in self.keywords.get("AUTH", "").upper().split():
            raise ProtocolTrouble("the peer does not offer AUTH PLAIN")
        secret = b64encode(b"\0" + name.encode() + b"\0" + password.encode()).decode()
        answer = await self._command(f"AUTH PLAIN {secret}", self._times.command)
        if not answer.is_good:
            raise PeerRefuses(answer)

    async def quit(self) -> None:
        """Say goodbye; the answer is not waited for."""
        try:
            if self.stream.is_open:
                await self.stream.write(b"QUIT\r\n", self._times.tls)
        except OSError:
            pass
        self.stream.close()

    # a message

    async def send(self, parcel: Parcel, outcomes: dict[int, Outcome], everyone: list[int]) -> None:
        """One transaction for the recipients `everyone` of a parcel; fills `outcomes`. Raises OSError."""
        self.unanswered = False
        again, self.used = self.used > 0, self.used + 1
        found = nature(parcel.content())
        try:
            mail, needs_utf8, source = await self._mail(parcel, found)
        except Refused as error:
            outcomes.update(dict.fromkeys(everyone, error))
            return
        wanted = []
        for number in everyone:
            address = parcel.recipients[number].address
            problem = self._problem(address, found, needs_utf8)
            if problem is None:
                wanted.append(number)
            else:
                outcomes[number] = problem
        if not wanted:
            return
        if not all(parcel.recipients[number].address.isascii() for number in wanted):
            mail = mail if needs_utf8 else f"{mail} SMTPUTF8"
        taken, go = await self._envelope(parcel, mail, wanted, outcomes, again=again)
        if taken:
            await self._content(parcel, source, taken, outcomes, go)

    async def _mail(self, parcel: Parcel, found: Nature) -> tuple[str, bool, bytes | None]:
        """MAIL's line, whether SMTPUTF8 is in it, and the message encoded anew where that is needed."""
        if parcel.return_path and not _PLAIN_ADDRESS.match(parcel.return_path):
            raise self._refusal(Condition.BAD_MESSAGE, "no return path that SMTP can carry")
        source: bytes | None = None
        needs_utf8 = not parcel.return_path.isascii() or ("SMTPUTF8" in parcel.parameters and not found.header_is_ascii)
        if needs_utf8 and not self.has("SMTPUTF8"):
            raise self._refusal(Condition.INTERNATIONALISED, "the sender's address or a header field needs SMTPUTF8")
        has_8bit = not found.is_ascii and not self.has("8BITMIME")
        if has_8bit or found.has_long_lines:
            try:
                source = await parcel.in_7bit()
            except Refused as error:
                if has_8bit:  # a long line is against the standard, yet most peers take it
                    raise self._refusal(error.condition, error.detail) from None
        size = parcel.crlf if source is None else len(source) + source.count(b"\n")
        limit = self.keywords.get("SIZE", "")
        if limit.isdigit() and 0 < int(limit) < size:
            raise self._refusal(Condition.TOO_LARGE_FOR_NEXT_HOST, f"{size} octets, it takes {limit}")
        words = [f"MAIL FROM:<{parcel.return_path}>"]
        if self.has("SIZE"):
            words.append(f"SIZE={size}")
        if self.has("8BITMIME") and not (found.is_ascii or source is not None):
            words.append("BODY=8BITMIME")
        if needs_utf8:
            words.append("SMTPUTF8")
        if "REQUIRETLS" in parcel.parameters and self.has("REQUIRETLS") and self.stream.tls:
            words.append("REQUIRETLS")
        if "XJOURNALLED" in parcel.parameters and self.has("XJOURNALLED"):
            words.append("XJOURNALLED")
        if self.has("DSN"):
            words += [
                f"{name}={value}"
                for name in ("RET", "ENVID")
                if (value := parcel.parameters.get(name, "")) and _PARAMETER.match(value)
            ]
        return " ".join(words), needs_utf8, source

    def _problem(self, address: str, found: Nature, needs_utf8: bool) -> Refused | None:
        if not _PLAIN_ADDRESS.match(address):
            return self._refusal(Condition.NO_SUCH_RECIPIENT, "no address that SMTP can carry")
        if not address.isascii() and not self.has("SMTPUTF8"):
            return self._refusal(Condition.INTERNATIONALISED, "the recipient's address needs SMTPUTF8")
        return None

    def _refusal(self, condition: Condition, why: str) -> Refused:
        return Refused(condition, f"{self.host}: {why}", host=self.host)

    def _rcpt(self, addressee: Addressee) -> str:
        line = f"RCPT TO:<{addressee.address}>"
        if self.has("DSN"):
            if addressee.notify:
                line += f" NOTIFY={','.join(sorted(addressee.notify))}"
            if addressee.orcpt and re.fullmatch(r"[\x21-\x7e]+", addressee.orcpt):
                line += f" ORCPT={addressee.orcpt}"
        return line

    async def _envelope(
        self, parcel: Parcel, mail: str, wanted: list[int], outcomes: dict[int, Outcome], *, again: bool
    ) -> tuple[list[int], Reply | None]:
        """MAIL, RCPT, DATA; the recipients that were taken and DATA's reply (None with CHUNKING).

        A refused MAIL is everybody's outcome.
        """
        may_pipeline = self.has("PIPELINING")
        data = [] if self.has("CHUNKING") else ["DATA"]
        groups = [wanted[start : start + PIPELINED] for start in range(0, len(wanted), PIPELINED)]
        taken: list[int] = []
        go: Reply | None = None
        for place, group in enumerate(groups):
            commands = [*(["RSET"] if again else []), mail] if place == 0 else []
            opening = len(commands)
            commands += [self._rcpt(parcel.recipients[number]) for number in group]
            if place == len(groups) - 1:
                commands += data
            replies: list[Reply] = []
            if may_pipeline:
                await self.stream.write("".join(f"{line}\r\n" for line in commands).encode(), self._times.command)
                replies = [await read_reply(self.stream, self._time_of(line)) for line in commands]
            else:
                for line in commands:
                    if (line == mail and replies and not replies[-1].is_good) or (line == "DATA" and not (
                        taken or any(reply.is_good for reply in replies[opening:])
                    )):  # fmt: skip
                        break
                    replies.append(await self._command(line, self._time_of(line)))
                    if line == mail and not replies[-1].is_good:
                        break
            for line, reply in zip(commands[:opening], replies, strict=False):
                if reply.is_good:
                    continue
                if line == "RSET":
                    raise ProtocolTrouble(f"RSET: {reply.literal}")
                outcomes.update(dict.fromkeys(wanted, reply.problem(self.host)))
                await self._nothing_to_send(replies, len(commands))
                return [], None
            answers = replies[opening : opening + len(group)]
            for number, reply in zip(group, answers, strict=True):
                if reply.is_good:
                    taken.append(number)
                elif reply.code == TOO_MANY_RECIPIENTS:
                    outcomes[number] = reply.trouble(self.host)
                else:
                    outcomes[number] = reply.problem(self.host)
            if data and len(replies) == len(commands) and commands[-1] == "DATA":
                go = replies[-1]
        if not taken and go is not None:
            await self._nothing_to_send([go], 1)
        return taken, go

    async def _nothing_to_send(self, replies: list[Reply], commands: int) -> None:
        """End a message that a pipelined DATA began although nobody gets it (RFC 2920 3.1)."""
        if len(replies) == commands and replies[-1].code == 354:
            await self.stream.write(b".\r\n", self._times.block)
            await read_reply(self.stream, self._times.end)

    def _time_of(self, line: str) -> float:
        return self._times.data if line == "DATA" else self._times.command

    async def _content(
        self, parcel: Parcel, source: bytes | None, taken: list[int], outcomes: dict[int, Outcome], go: Reply | None
    ) -> None:
        pieces: Iterator[bytes] = parcel.content() if source is None else iter((source,))
        try:
            problem = await self._chunks(pieces) if go is None else await self._data(pieces, go)
        except OSError:
            problem = await self._last_words()
            if problem is None:
                raise
        if problem is not None:
            self.unanswered = False
            outcomes.update(dict.fromkeys(taken, problem))
            return
        dsn = self.has("DSN")
        if self._lmtp:
            for number in taken:
                outcomes[number] = (await read_reply(self.stream, self._times.end)).outcome(self.host, dsn=dsn)
        else:
            reply = await read_reply(self.stream, self._times.end)
            outcomes.update(dict.fromkeys(taken, reply.outcome(self.host, dsn=dsn)))
        self.unanswered = False

    async def _last_words(self) -> Deferred | Refused | None:
        """What the peer said before it closed the connection under our hands: a message it finds too large, say."""
        try:
            reply = await read_reply(self.stream, LAST_WORDS_SECONDS)
        except OSError:
            return None
        return None if reply.code < 400 else reply.problem(self.host)

    async def _data(self, pieces: Iterator[bytes], go: Reply) -> Deferred | Refused | None:
        """The message behind DATA's reply; None when its final reply is to be read."""
        if go.code != 354:
            return go.problem(self.host)
        waiting = b""
        for piece in dotted(pieces):  # the end comes in one write with what stands before it
            if len(waiting) + len(piece) > BLOCK:
                await self.stream.write(waiting, self._times.block)
                waiting = b""
            waiting += piece
        self.unanswered = True
        await self.stream.write(waiting, self._times.block)
        return None

    async def _chunks(self, pieces: Iterator[bytes]) -> Deferred | Refused | None:
        """BDAT, one chunk after the other; None when the reply to the last one is to be read."""
        for chunk, is_last in chunked(pieces):
            self.unanswered = is_last
            await self.stream.write(chunk, self._times.block)
            if not is_last:
                reply = await read_reply(self.stream, self._times.block)
                if not reply.is_good:
                    return reply.problem(self.host)
        return None
