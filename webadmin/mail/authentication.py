"""What our own mail host found out about a message's sender (RFC 8601), in words for people."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from flask_babel import gettext

from gateway.mail.authentication_results import authserv_id

MAX_FIELDS = 20
MAX_RESULTS = 30
_RESULT = re.compile(r"\A\s*([A-Za-z][\w-]*)(?:/\d+)?\s*=\s*([A-Za-z]+)")
_COMMENT = re.compile(r"\([^()]*\)")
_PROPERTY = re.compile(r"\b(smtp\.mailfrom|smtp\.helo|header\.d|header\.i|header\.from)\s*=\s*\"?([^\s;\"]{1,253})")


@dataclass(frozen=True, slots=True)
class Finding:
    """`tone` is good, bad or open."""

    tone: str
    text: str


def _properties(text: str) -> dict[str, str]:
    return {match[1].lower(): match[2] for match in _PROPERTY.finditer(text)}


def findings(values: Iterable[bytes], own: str) -> list[Finding]:
    """The results of fields that `own` wrote; those of other hosts may be the sender's own invention."""
    found: list[Finding] = []
    for value in list(values)[:MAX_FIELDS]:
        if (authserv_id(value) or "").rstrip(".") != own.lower().rstrip("."):
            continue
        text = _COMMENT.sub(" ", value.decode("utf-8", "replace"))
        for part in text.split(";")[1 : MAX_RESULTS + 1]:
            result = _RESULT.match(part)
            if result is not None:
                finding = _finding(result[1].lower(), result[2].lower(), _properties(part))
                if finding is not None and finding not in found:
                    found.append(finding)
    return found


def _finding(method: str, outcome: str, named: dict[str, str]) -> Finding | None:
    mail_from = named.get("smtp.mailfrom", "").rpartition("@")[2] or named.get("smtp.helo", "")
    signer = named.get("header.d", "") or named.get("header.i", "").rpartition("@")[2]
    author = named.get("header.from", "").rpartition("@")[2]
    if method == "spf":
        return _spf(outcome, mail_from)
    if method == "dkim":
        return _dkim(outcome, signer)
    if method == "dmarc":
        return _dmarc(outcome, author)
    if method == "auth" and outcome == "pass":
        return Finding("good", gettext("Sent by somebody who had signed in here."))
    return None


def _spf(outcome: str, domain: str) -> Finding | None:
    if outcome == "pass":
        return Finding("good", gettext("The sending host may send for %(domain)s (SPF).", domain=domain))
    if outcome in ("fail", "softfail"):
        return Finding(
            "bad", gettext("%(domain)s says that the sending host may not send for it (SPF).", domain=domain)
        )
    if outcome == "temperror":
        return Finding("open", gettext("Whether the host may send for %(domain)s could not be asked (SPF).", domain=domain))  # fmt: skip
    return None


def _dkim(outcome: str, domain: str) -> Finding | None:
    if outcome == "pass":
        return Finding("good", gettext("Signed by %(domain)s, and not changed since (DKIM).", domain=domain))
    if outcome in ("fail", "permerror", "policy"):
        return Finding("bad", gettext("The signature of %(domain)s does not hold: changed on the way, or forged (DKIM).", domain=domain))  # fmt: skip
    if outcome == "temperror":
        return Finding("open", gettext("The signature of %(domain)s could not be checked (DKIM).", domain=domain))
    return None


def _dmarc(outcome: str, domain: str) -> Finding | None:
    if outcome == "pass":
        return Finding("good", gettext("The author's domain %(domain)s vouches for this message (DMARC).", domain=domain))  # fmt: skip
    if outcome == "fail":
        return Finding("bad", gettext("The author's domain %(domain)s does not vouch for this message (DMARC).", domain=domain))  # fmt: skip
    return None
