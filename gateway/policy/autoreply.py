"""May a message be answered automatically, and is it to be now? Facts in, verdict out (RFC 3834 2, RFC 5230 4.5, 4.6)."""

from __future__ import annotations

from collections.abc import Callable

from directory.model import Account
from gateway.mail.address_list import AddressProblem, addresses
from gateway.mail.header import Field, Header

DEFAULT_DAYS = 7
MAX_DAYS = 365

#: fields of which the mere presence says that no person waits for an answer
_NOT_PERSONAL = (b"list-id", b"list-help", b"list-post", b"list-subscribe", b"list-unsubscribe", b"list-owner",
                 b"list-archive", b"feedback-id")  # fmt: skip
_BULK = (b"bulk", b"list", b"junk")
_SUPPRESS = (b"all", b"oof", b"autoreply")  # what Exchange writes into X-Auto-Response-Suppress
_NOBODY = ("mailer-daemon", "postmaster", "listserv", "majordomo", "noreply", "no-reply", "donotreply", "do-not-reply")
_NOBODY_ENDS = ("-request", "-owner", "-bounces", "-relay")
_ADDRESSED = (b"to", b"cc", b"bcc", b"resent-to", b"resent-cc", b"resent-bcc")


def is_away(account: Account, now: float) -> bool:
    """Are vacation replies on at the moment `now`? The end belongs to the absence no more."""
    return (
        account.vacation
        and (account.vacation_start is None or now >= account.vacation_start)
        and (account.vacation_end is None or now < account.vacation_end)
    )


def period(account: Account) -> float:
    """Seconds in which one sender gets one reply."""
    days = DEFAULT_DAYS if account.vacation_days is None else account.vacation_days
    return min(max(days, 1), MAX_DAYS) * 86400.0


def why_not(header: Header, return_path: str, is_own: Callable[[str], bool]) -> str | None:
    """Why a message gets no automatic reply, for the log; None when it may have one.

    `is_own` knows the addresses of the person who would answer.
    """
    local = return_path.rpartition("@")[0].lower()
    if not local:
        return "it has no return path"
    if is_own(return_path):
        return "it is from the person"
    if local in _NOBODY or local.startswith("owner-") or local.endswith(_NOBODY_ENDS) or "-bounces+" in local:
        return "its return path is no person"
    if any(_word(header, field) != b"no" for field in header.all(b"auto-submitted")):
        return "it was made automatically"
    if any(header.has(name) for name in _NOT_PERSONAL):
        return "it came through a list"
    if any(_word(header, field) in _BULK for field in header.all(b"precedence")):
        return "it is bulk mail"
    for field in header.all(b"x-auto-response-suppress"):
        if any(word.strip().lower() in _SUPPRESS for word in header.unfolded(field).split(b",")):
            return "it asks for no reply"
    for name in _ADDRESSED:
        for field in header.all(name):
            try:
                if any(is_own(address) for address in addresses(header.unfolded(field))):
                    return None
            except AddressProblem:
                continue
    return "it does not name the person"


def _word(header: Header, field: Field) -> bytes:
    """The value of a field up to its parameters, in lower case."""
    return header.unfolded(field).partition(b";")[0].partition(b"(")[0].strip().lower()
