"""rspamd asked by its own protocol (`POST /checkv2`): what it thinks of a message, and the fields it wants added.

`reject` refuses, `greylist` and `soft reject` defer, `add header`, `rewrite subject`, `quarantine` and `discard` mean
junk: nothing that was accepted is thrown away.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

import msgspec

from directory.model import Condition, Deferred, Refused
from gateway.deliver.port import Dial
from gateway.files.spool import size_of
from gateway.filters.http import post
from gateway.filters.port import ACCEPT, Facts, Kind, Verdict
from gateway.filters.settings import RspamdSettings
from gateway.observe import maillog

MAX_REPLY = 4 * 1024 * 1024
MAX_ADDED = 50
MAX_RECIPIENTS = 1000
JUNK_ACTIONS = ("add header", "rewrite subject", "quarantine", "discard")
LATER_ACTIONS = ("greylist", "soft reject")
_NAME = re.compile(r"[!-9;-~]{1,100}")


class Reply(msgspec.Struct):
    """What of the answer counts."""

    action: str
    score: float = 0.0
    symbols: dict[str, Any] = {}
    messages: dict[str, Any] = {}
    milter: dict[str, Any] = {}


class RspamdCheck:
    """Implements `ContentCheck`."""

    name = "rspamd"

    def __init__(self, settings: RspamdSettings, dial: Dial, clock: Callable[[], float]) -> None:
        """`clock` is monotonic; `settings.url` has an address and a port."""
        parts = urlsplit(settings.url)
        self._settings, self._dial, self._clock = settings, dial, clock
        self._address, self._port = parts.hostname or "", parts.port or 11333

    async def check(self, facts: Facts, body: Sequence[bytes], deadline: float) -> Verdict:
        settings = self._settings
        size = size_of(body)
        if facts.service not in settings.services or size > settings.max_size:
            return ACCEPT
        until = min(deadline, self._clock() + settings.timeout)
        try:
            answer = await post(
                self._dial,
                self._address,
                self._port,
                "/checkv2",
                _fields(facts),
                body,
                size,
                limit=MAX_REPLY,
                left=lambda: max(0.001, until - self._clock()),
            )
            reply = msgspec.json.decode(answer, type=Reply)
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
            detail = f"rspamd: {error or type(error).__name__}"
            maillog.check_failed(id=facts.id, check=self.name, detail=detail)
            if settings.on_trouble == "accept":
                return ACCEPT
            raise Deferred(Condition.CHECK_UNAVAILABLE, detail) from None
        return self._verdict(reply)

    def _verdict(self, reply: Reply) -> Verdict:
        kind = Kind.JUNK if reply.action in JUNK_ACTIONS else Kind.ACCEPT
        detail = f"rspamd: {reply.action}, score {reply.score:g}"
        said = reply.messages.get("smtp_message")
        text = " ".join("".join(c for c in said if c.isprintable()).split())[:200] if isinstance(said, str) else ""
        if reply.action in LATER_ACTIONS:
            raise Deferred(Condition.CONTENT_DEFERRED, detail, text)
        if reply.action == "reject":
            if reply.score >= self._settings.reject_above:
                raise Refused(Condition.CONTENT_REFUSED, detail, text)
            kind = Kind.JUNK
        return Verdict(
            kind,
            _added(reply.milter.get("add_headers")),
            removed=_removed(reply.milter.get("remove_headers")),
            vouched="R_SPF_ALLOW" in reply.symbols,
        )


def _fields(facts: Facts) -> list[tuple[str, str]]:
    found = [
        ("From", facts.envelope.return_path or "<>"),
        ("Queue-Id", facts.id),
        ("MTA-Name", facts.hostname),
        *(("Rcpt", recipient.address) for recipient in facts.envelope.recipients[:MAX_RECIPIENTS]),
    ]
    if facts.client[:1].isalnum() and ("." in facts.client or ":" in facts.client):
        found.append(("IP", facts.client))
    if facts.helo:
        found.append(("Helo", facts.helo))
    if facts.login:
        found.append(("User", facts.login))
    return found


def _each(value: object) -> list[str]:
    """The values of a field, as rspamd gives them: text, {"value": ...} or a list of these."""
    if isinstance(value, list):
        return [text for item in value for text in _each(item)]
    if isinstance(value, dict):
        value = value.get("value")
    return [value] if isinstance(value, str) else []


def _added(wanted: object) -> tuple[bytes, ...]:
    lines: list[bytes] = []
    for name, value in wanted.items() if isinstance(wanted, dict) else ():
        if not _NAME.fullmatch(name):
            continue
        for text in _each(value):
            kept = ("".join(c for c in line if c.isprintable()).strip() for line in text.splitlines())
            lines.append(f"{name}: {chr(10).join(f'{chr(9)}{line}' for line in kept if line)[1:]}\n".encode())
    return tuple(lines[:MAX_ADDED])


def _removed(wanted: object) -> tuple[tuple[bytes, int], ...]:
    found = [
        (name.lower().encode(), number)
        for name, which in (wanted.items() if isinstance(wanted, dict) else ())
        for number in (which if isinstance(which, list) else [which])
        if isinstance(number, int) and number >= 0 and _NAME.fullmatch(name)
    ]
    return tuple(found[:MAX_ADDED])
