"""Replies of a peer (RFC 5321 4.2) and what they mean for a recipient. Whatever is no proper reply is trouble
with the connection, never the message's fault."""

from __future__ import annotations

import re
from dataclasses import dataclass

from directory.model import Condition, Deferred, Refused
from gateway.deliver.port import Outcome, Stream, Taken

MAX_REPLY_LINES = 100
MAX_REPLY_LINE = 4096
MAX_TEXT = 500
_HEAD = re.compile(rb"[2-5]\d\d(?:[ -]|\r?\n)")
_STATUS = re.compile(r"([245]\.\d{1,3}\.\d{1,3})(?:\s|$)")


class ProtocolTrouble(OSError):
    """The peer does not speak SMTP, or has gone."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply; `lines` without codes."""

    code: int
    lines: tuple[str, ...]

    @property
    def is_good(self) -> bool:
        return 200 <= self.code < 300

    @property
    def literal(self) -> str:
        """As the peer said it, on one line, cut to 500 characters."""
        return f"{self.code} {' / '.join(self.lines)}".rstrip()[:MAX_TEXT]

    @property
    def status(self) -> str:
        """The enhanced status (RFC 3463) that the peer gave, "" without one that fits its code."""
        found = _STATUS.match(self.lines[0]) if self.lines else None
        return found[1] if found is not None and found[1][0] == str(self.code)[0] else ""

    def outcome(self, host: str, *, dsn: bool = False) -> Outcome:
        """What it means for a recipient."""
        if self.is_good:
            return Taken(host, self.literal, dsn)
        return self.problem(host)

    def problem(self, host: str) -> Deferred | Refused:
        """What a reply other than 2yz means: only 5yz is final."""
        detail = f"{host}: {self.literal}"
        if 500 <= self.code < 600:
            return Refused(Condition.REMOTE_REFUSED, detail, status=self.status, host=host, reply=self.literal)
        status = self.status if self.code >= 400 else ""
        return Deferred(Condition.REMOTE_DEFERRED, detail, status=status, host=host, reply=self.literal)

    def trouble(self, host: str) -> Deferred:
        """The same where a refusal is about the connection, not about the message."""
        return Deferred(
            Condition.REMOTE_DEFERRED,
            f"{host}: {self.literal}",
            status=self.status if self.status.startswith("4") else "",
            host=host,
            reply=self.literal,
        )


async def read_reply(stream: Stream, seconds: float) -> Reply:
    """The next reply. Raises OSError."""
    lines: list[str] = []
    code = b""
    for _ in range(MAX_REPLY_LINES):
        line = await stream.read_line(seconds)
        if not line.endswith(b"\n"):
            raise ProtocolTrouble("connection ended within a reply" if line or lines else "connection ended")
        if len(line) > MAX_REPLY_LINE or not _HEAD.match(line) or (code and line[:3] != code):
            raise ProtocolTrouble(f"no SMTP reply: {line[:80]!r}")
        code = line[:3]
        text = line[4:].decode("utf-8", "replace").strip()
        lines.append(text if text.isprintable() else "".join(c for c in text if c.isprintable()))
        if line[3:4] != b"-":
            return Reply(int(code), tuple(lines))
    raise ProtocolTrouble("endless reply")
