"""The SMTP and LMTP client (RFC 5321, RFC 2033): one connection, one message, some recipients.

Trouble with the connection before the final reply is temporary for every recipient that has no answer
yet. A message that the peer took without our seeing the reply is sent again (RFC 1047).
"""

from __future__ import annotations

from collections.abc import Iterator

from directory.model import Condition, Deferred, Refused
from gateway.deliver.port import Dial, Outcome, Parcel, Stream

MAX_REPLY_LINES = 100
MAX_REPLY_LINE = 4096


class _Reply:
    __slots__ = ("code", "text")

    def __init__(self, code: int, text: str) -> None:
        self.code, self.text = code, text

    def outcome(self) -> Outcome:
        if 200 <= self.code < 300:
            return None
        if 500 <= self.code < 600:
            return Refused(Condition.REMOTE_REFUSED, f"{self.code} {self.text}")
        return Deferred(Condition.REMOTE_DEFERRED, f"{self.code} {self.text}")


class ProtocolTrouble(OSError):
    """The peer does not speak SMTP."""


def on_the_wire(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """LF becomes CRLF, dots at line starts are doubled (RFC 5321 4.5.2), the end is marked."""
    at_start = True
    for piece in pieces:
        data = piece.replace(b"\n.", b"\n..")
        if at_start and data.startswith(b"."):
            data = b"." + data
        at_start = piece.endswith(b"\n")
        yield data.replace(b"\n", b"\r\n")
    yield b".\r\n" if at_start else b"\r\n.\r\n"


class SmtpCourier:
    """Sends to one next hop."""

    def __init__(
        self,
        dial: Dial,
        host: str,
        port: int,
        hostname: str,
        *,
        connect_timeout: float,
        reply_timeout: float,
        lmtp: bool = False,
    ) -> None:
        self._dial = dial
        self._host, self._port, self._hostname = host, port, hostname
        self._connect_timeout, self._timeout = connect_timeout, reply_timeout
        self._lmtp = lmtp

    async def deliver(self, parcel: Parcel) -> list[Outcome]:
        outcomes: dict[int, Outcome] = {}
        try:
            stream = await self._dial(self._host, self._port, self._connect_timeout)
            try:
                await self._converse(stream, parcel, outcomes)
            finally:
                stream.close()
        except OSError as error:
            trouble = Deferred(Condition.REMOTE_DEFERRED, f"{self._host}:{self._port}: {error or type(error).__name__}")
            for number in range(len(parcel.recipients)):
                outcomes.setdefault(number, trouble)
        return [outcomes[number] for number in range(len(parcel.recipients))]

    async def _reply(self, stream: Stream) -> _Reply:
        lines = []
        for _ in range(MAX_REPLY_LINES):
            line = await stream.read_line(self._timeout)
            if not line.endswith(b"\n") or len(line) > MAX_REPLY_LINE or not line[:3].isdigit():
                raise ProtocolTrouble("connection ended" if not line else "no SMTP reply")
            lines.append(line[4:].decode("utf-8", "replace").strip())
            if line[3:4] != b"-":
                return _Reply(int(line[:3]), " / ".join(lines)[:500])
        raise ProtocolTrouble("endless reply")

    async def _command(self, stream: Stream, line: str) -> _Reply:
        await stream.write(line.encode() + b"\r\n", self._timeout)
        return await self._reply(stream)

    async def _converse(self, stream: Stream, parcel: Parcel, outcomes: dict[int, Outcome]) -> None:
        everyone = range(len(parcel.recipients))

        def all_of(outcome: Outcome) -> None:
            for number in everyone:
                outcomes.setdefault(number, outcome)

        for step in (None, f"{'LHLO' if self._lmtp else 'EHLO'} {self._hostname}"):
            answer = await (self._reply(stream) if step is None else self._command(stream, step))
            # a greeting or EHLO that is refused is the peer's condition, not this message's
            if answer.outcome() is not None:
                all_of(Deferred(Condition.REMOTE_DEFERRED, f"{answer.code} {answer.text}"))
                return
        keywords = {word.split(" ")[0].upper() for word in answer.text.split(" / ")[1:]}
        mail = f"MAIL FROM:<{parcel.return_path}>"
        if "SIZE" in keywords:
            mail += f" SIZE={parcel.crlf}"
        if "8BITMIME" in keywords:
            mail += " BODY=8BITMIME"
        if not all(path.isascii() for path in (parcel.return_path, *parcel.recipients)):
            if "SMTPUTF8" not in keywords:
                all_of(Refused(Condition.REMOTE_REFUSED, f"{self._host} does not take internationalised addresses"))
                return
            mail += " SMTPUTF8"
        answer = await self._command(stream, mail)
        if answer.outcome() is not None:
            all_of(answer.outcome())
            return
        taken = []
        for number in everyone:
            answer = await self._command(stream, f"RCPT TO:<{parcel.recipients[number]}>")
            if answer.outcome() is None:
                taken.append(number)
            else:
                outcomes[number] = answer.outcome()
        if taken:
            answer = await self._command(stream, "DATA")
            if answer.code != 354:
                all_of(answer.outcome() or Deferred(Condition.REMOTE_DEFERRED, f"DATA: {answer.code} {answer.text}"))
                return
            for piece in on_the_wire(parcel.content()):
                await stream.write(piece, self._timeout)
            if self._lmtp:
                for number in taken:
                    outcomes[number] = (await self._reply(stream)).outcome()
            else:
                all_of((await self._reply(stream)).outcome())
        await stream.write(b"QUIT\r\n", self._timeout)
