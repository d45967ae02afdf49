"""The reasons for which something is deferred or refused: one enumeration, mapped once per protocol.

Infrastructure trouble is only ever `Deferred`; what a person or a sender did is `Refused` where the
answer is final. Each member holds the SMTP reply code and enhanced status (RFC 3463) that mean it.
"""

from __future__ import annotations

from enum import Enum
from typing import ClassVar


class Condition(Enum):
    """(SMTP code, enhanced status, text for the client)"""

    # final
    NO_SUCH_RECIPIENT = (550, "5.1.1", "no such recipient here")
    NO_SUCH_DOMAIN = (550, "5.7.1", "relaying denied")
    ACCOUNT_CLOSED = (550, "5.2.1", "mailbox closed")
    NOT_ALLOWED_TO_SEND_HERE = (550, "5.7.1", "you may not send to this recipient")
    MAILBOX_FULL = (552, "5.2.2", "mailbox full")
    MESSAGE_TOO_LARGE = (552, "5.3.4", "message too large")
    MESSAGE_TOO_LARGE_FOR_RECIPIENT = (552, "5.2.3", "message too large for this recipient")
    TOO_MANY_HOPS = (554, "5.4.6", "too many hops, this message is in a loop")
    SENDER_NOT_OWNED = (553, "5.7.1", "this sender address is not yours")
    AUTHOR_NOT_OWNED = (550, "5.7.1", "this author address is not yours")
    AUTHENTICATION_REQUIRED = (530, "5.7.0", "authentication required")
    AUTHENTICATION_FAILED = (535, "5.7.8", "authentication failed")
    PASSWORD_MUST_CHANGE = (535, "5.7.8", "password must be changed first")
    SERVICE_NOT_ALLOWED = (535, "5.7.8", "this account may not use this service")
    BAD_MESSAGE = (554, "5.6.0", "message refused")
    NOT_LOCAL = (550, "5.1.2", "no local store for this recipient")
    LIST_LOOP = (554, "5.4.6", "this address leads only to itself")
    NOBODY_THERE = (550, "5.1.1", "this address has no recipients")
    CONTENT_REFUSED = (554, "5.7.1", "message refused as spam")
    REFUSED_BY_RULE = (550, "5.7.1", "this address takes no such message")
    REFUSED_BY_PROGRAM = (550, "5.3.0", "refused by a delivery program of the recipient")
    REMOTE_REFUSED = (550, "5.0.0", "refused by the next host")
    NO_SUCH_MAIL_DOMAIN = (550, "5.1.2", "no such domain")
    TAKES_NO_MAIL = (556, "5.1.10", "this domain takes no mail")
    MAIL_LOOP = (554, "5.4.6", "the mail host of this domain leads back here")
    CONVERSION_IMPOSSIBLE = (554, "5.6.3", "the next host cannot take this message as it is")
    INTERNATIONALISED = (553, "5.6.7", "the next host does not take internationalised addresses")
    TOO_LARGE_FOR_NEXT_HOST = (552, "5.3.4", "message too large for the next host")
    REQUIRETLS_IMPOSSIBLE = (550, "5.7.30", "the next host does not support REQUIRETLS")
    # for now
    DIRECTORY_UNAVAILABLE = (451, "4.3.0", "directory temporarily unavailable, try again later")
    DIRECTORY_STALE = (451, "4.3.0", "directory not up to date, try again later")
    RULE_UNUSABLE = (451, "4.3.5", "the rules of this address cannot be used, try again later")
    ADDRESS_AMBIGUOUS = (451, "4.3.5", "address temporarily ambiguous")
    ACCOUNT_SUSPENDED = (451, "4.2.1", "mailbox temporarily disabled")
    MAILBOX_FULL_FOR_NOW = (452, "4.2.2", "mailbox full, try again later")
    MAILDROP_IN_USE = (451, "4.2.0", "maildrop is in use by another session")
    STORE_UNAVAILABLE = (451, "4.3.0", "mail store temporarily unavailable, try again later")
    PROGRAM_DEFERRED = (451, "4.3.0", "a delivery program did not take it, it is tried again")
    QUEUE_UNAVAILABLE = (451, "4.3.0", "queue temporarily unavailable, try again later")
    ACCOUNT_ELSEWHERE = (451, "4.3.0", "mailbox is on another host, try again later")
    REMOTE_DEFERRED = (451, "4.4.0", "the next host did not take it, it is tried again")
    DNS_UNAVAILABLE = (451, "4.4.3", "name service temporarily unavailable, try again later")
    TLS_UNAVAILABLE = (451, "4.7.4", "the next host cannot be reached securely")
    CONTENT_DEFERRED = (451, "4.7.1", "try again later")
    CHECK_UNAVAILABLE = (451, "4.3.0", "message cannot be checked at the moment, try again later")
    QUEUE_FULL = (452, "4.3.1", "queue full, try again later")
    LIST_TOO_LARGE = (451, "4.3.5", "list has more members than allowed, try again later")
    NO_ROUTE = (451, "4.4.4", "no route to this recipient at the moment, try again later")
    ACCOUNT_REBIND = (451, "4.2.1", "this address has changed hands, try again later")
    AUTHENTICATION_UNAVAILABLE = (454, "4.7.0", "temporary authentication failure")
    SENDING_TOO_FAST = (450, "4.7.1", "sending limit reached, try again later")
    SENDING_STOPPED = (451, "4.7.1", "sending is stopped for this account, ask your administrator")
    TOO_MANY_CONNECTIONS = (421, "4.7.0", "too many connections, try again later")
    OVERLOADED = (421, "4.3.2", "too busy, try again later")
    SHUTTING_DOWN = (421, "4.3.2", "service closing, try again in a moment")
    BUG = (451, "4.3.0", "internal error, try again later")

    @property
    def code(self) -> int:
        return self.value[0]

    @property
    def enhanced(self) -> str:
        return self.value[1]

    @property
    def text(self) -> str:
        return self.value[2]

    @property
    def is_temporary(self) -> bool:
        return self.code < 500


class _Answer(Exception):
    """`condition` is for the program, `text` for the client, `detail` for the log (never a client).

    Where another host gave the answer, `host` is its name, `reply` what it said and `status` its enhanced status
    (RFC 3463); without one `status` is the condition's.
    """

    _is_temporary: ClassVar[bool]

    def __init__(
        self,
        condition: Condition,
        detail: str = "",
        text: str = "",
        *,
        status: str = "",
        host: str = "",
        reply: str = "",
    ) -> None:
        if condition.is_temporary is not self._is_temporary:
            why = "is temporary, it cannot refuse" if condition.is_temporary else "is final, it cannot defer"
            raise ValueError(f"{condition.name} {why}")
        super().__init__(detail or condition.text)
        self.condition = condition
        self.detail = detail
        self.text = text or condition.text
        self.status = status or condition.enhanced
        self.host = host
        self.reply = reply


class Deferred(_Answer):
    """Not now: the same request may succeed later. Answered 4yz, NO [UNAVAILABLE], -ERR [SYS/TEMP]."""

    _is_temporary = True


class Refused(_Answer):
    """Never: the request itself is wrong. Answered 5yz, NO, -ERR."""

    _is_temporary = False
