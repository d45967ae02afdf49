"""Trace fields: Received (RFC 5321 4.4, 6531 3.7.3) and Return-Path. LF line ends."""

from __future__ import annotations

import re

from gateway.mail.dates import date_of

LOCAL = "local"  # the address of a client on a unix socket
_UNSAFE = re.compile(r"[^\x21-\x7e\u0080-\U0010ffff]|[()\\;<>]")


def _clean(text: str, limit: int = 255) -> str:
    """Peer-supplied text without what could end or fake a header field."""
    return _UNSAFE.sub("", text)[:limit] or "unknown"


def received(
    *,
    helo: str,
    address: str,
    hostname: str,
    protocol: str,
    message_id: str,
    recipient: str | None,
    now: float,
    tls: str = "",
) -> bytes:
    """The Received field that this host adds. `protocol` is a keyword of RFC 3848 (ESMTP, ESMTPSA, LMTP, ...)."""
    literal = f"[IPv6:{address}]" if ":" in address else f"[{address}]" if address != LOCAL else LOCAL
    lines = [f"Received: from {_clean(helo)} ({literal})"]
    if tls:
        lines.append(f"\t(using {tls})")
    lines.append(f"\tby {hostname} with {protocol} id {message_id}")
    if recipient is not None:
        lines.append(f"\tfor <{_clean(recipient, 320)}>")
    lines[-1] += ";"
    lines.append(f"\t{date_of(now)}")
    return ("\n".join(lines) + "\n").encode("utf-8", "replace")


def return_path(path: str) -> bytes:
    """The Return-Path field, written at final delivery."""
    return f"Return-Path: <{_UNSAFE.sub('', path)}>\n".encode("utf-8", "replace")
