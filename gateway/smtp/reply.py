"""SMTP replies (RFC 5321 4.2) with enhanced status codes (RFC 2034)."""

from __future__ import annotations

from directory.model import Condition, Deferred, Refused


def reply(code: int, enhanced: str, *lines: str) -> bytes:
    """One reply. `enhanced` may be empty where RFC 2034 wants none (greeting, EHLO, 3yz)."""
    prefix = f"{enhanced} " if enhanced else ""
    texts = lines or ("",)
    if len(texts) == 1:
        return f"{code} {prefix}{texts[0]}\r\n".encode("utf-8", "replace")
    last = len(texts) - 1
    return "".join(f"{code}{' ' if i == last else '-'}{prefix}{text}\r\n" for i, text in enumerate(texts)).encode(
        "utf-8", "replace"
    )


def condition_reply(condition: Condition, text: str = "") -> bytes:
    """The reply that a condition means."""
    return reply(condition.code, condition.enhanced, text or condition.text)


def error_reply(error: Deferred | Refused) -> bytes:
    """The reply to a request that was deferred or refused; its detail stays in the log."""
    return condition_reply(error.condition, error.text)


OK = reply(250, "2.0.0", "OK")
BYE = reply(221, "2.0.0", "Bye")
BAD_SEQUENCE = reply(503, "5.5.1", "bad sequence of commands")
UNKNOWN_COMMAND = reply(500, "5.5.2", "command not recognised")
NOT_HERE = reply(502, "5.5.1", "command not available on this service")
SYNTAX = reply(501, "5.5.4", "syntax error in parameters")
LINE_TOO_LONG = reply(500, "5.5.2", "line too long")
TIMEOUT = reply(421, "4.4.2", "waited too long, closing connection")
TOO_MANY_ERRORS = reply(421, "4.7.0", "too many errors, closing connection")
BUG = condition_reply(Condition.BUG)
