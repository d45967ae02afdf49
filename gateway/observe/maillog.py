"""The mail log: one function an event, `id=` first. No other module formats a mail line.

What concerns one message goes into its trail as well (`gatepost trace`).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from directory.model import Deferred, Refused
from gateway.observe import log, metrics, trail
from gateway.observe.log import fields

_log = logging.getLogger("gatepost.mail")


@contextmanager
def together() -> Iterator[None]:
    """What this thread tells inside the block, of many recipients of one message, is written in few calls behind it."""
    with log.together(), trail.together():
        yield


def received(
    *,
    id: str,  # noqa: A002
    return_path: str,
    recipients: Sequence[str],
    size: int,
    client: str,
    service: str,
    login: str,
    message_id: str,
    subject: str,
) -> None:
    """A message is here whole and passed its checks; what becomes of it follows. Only in its trail."""
    trail.note(
        "received",
        id=id,
        return_path=f"<{return_path}>",
        recipients=recipients,
        size=size,
        client=client,
        service=service,
        login=login,
        message_id=message_id,
        subject=subject,
    )


def accepted(*, id: str, return_path: str, size: int, recipients: int, client: str, service: str) -> None:  # noqa: A002
    """Responsibility for a message was taken."""
    metrics.count(metrics.ACCEPTED, service)
    metrics.count(metrics.ACCEPTED_OCTETS, service, number=size)
    trail.note("accepted", id=id)
    _log.info(
        "%s",
        fields(
            id=id,
            event="accepted",
            service=service,
            client=client,
            return_path=f"<{return_path}>",
            size=size,
            recipients=recipients,
        ),
    )


def delivered(*, id: str, recipient: str, account: str, uid: int) -> None:  # noqa: A002
    """A message is in a store."""
    metrics.count(metrics.DELIVERED)
    trail.note("delivered", id=id, recipient=recipient, account=account, uid=uid)
    _log.info("%s", fields(id=id, event="delivered", recipient=recipient, account=account, uid=uid))


def discarded(*, id: str, recipient: str, account: str) -> None:  # noqa: A002
    """A message was thrown away, as a rule of the account says."""
    trail.note("discarded", id=id, recipient=recipient, account=account)
    _log.info("%s", fields(id=id, event="discarded", recipient=recipient, account=account))


def ran(*, id: str, recipient: str, account: str, program: str, code: int | None) -> None:  # noqa: A002
    """A delivery program took a message."""
    trail.note("program", id=id, recipient=recipient, account=account, program=program, code=code)
    _log.info("%s", fields(id=id, event="program", recipient=recipient, account=account, program=program, code=code))


def sending_stopped(*, account: str, sign: str, seen: str, by: str) -> None:
    """An account sends nothing from now on."""
    metrics.count(metrics.SENDING_STOPS, sign)
    _log.warning("%s", fields(event="sending-stopped", account=account, sign=sign, seen=seen, by=by))


def sending_released(*, account: str, by: str, mail: str, messages: int) -> None:
    """An account may send again; what became of its messages that were held."""
    _log.info("%s", fields(event="sending-released", account=account, by=by, mail=mail, messages=messages))


def stop_told(*, id: str, account: str, recipient: str, seen: str) -> None:  # noqa: A002
    """The postmaster is told, with the message `id`, that an account was stopped."""
    trail.note("sending-stopped", id=id, account=account, recipient=recipient, seen=seen)
    _log.info("%s", fields(id=id, event="stop-told", account=account, recipient=recipient))


def brake_trouble(*, detail: str) -> None:
    """Which accounts are stopped cannot be read, or what they send cannot be written down."""
    _log.error("%s", fields(event="brake-trouble", detail=detail))


def over_soft_quota(*, account: str) -> None:
    """A store holds more than its soft quota from now on."""
    _log.info("%s", fields(event="over-soft-quota", account=account))


def vacation(*, id: str, reply: str, account: str, recipient: str, outcome: str) -> None:  # noqa: A002
    """Somebody who is away got the message `id`: `outcome` is "replied", with the message `reply`, or why not."""
    trail.note("vacation", id=reply, parent=id, recipient=recipient, outcome=outcome)
    _log.info("%s", fields(event="vacation", account=account, recipient=recipient, outcome=outcome))


def sent_copy(*, id: str, account: str, outcome: str) -> None:  # noqa: A002
    """A copy of what was sent as a shared mailbox was kept there, or why not."""
    trail.note("sent-copy", id=id, account=account, outcome=outcome)
    _log.info("%s", fields(id=id, event="sent-copy", account=account, outcome=outcome))


def rights_changed(*, account: str, mailbox: str, identifier: str, rights: str, by: str) -> None:
    """Somebody gave or took rights to a mailbox of an account (RFC 4314); `rights` are those that there are now."""
    _log.info(
        "%s",
        fields(event="rights", account=account, mailbox=mailbox, identifier=identifier, rights=rights or "none", by=by),
    )


def expired(*, account: str, mailbox: str, messages: int) -> None:
    """Messages that were in a mailbox for as long as its use allows are expunged."""
    _log.info("%s", fields(event="expired", account=account, mailbox=mailbox, messages=messages))


def queued(*, id: str, targets: int, about: str = "") -> None:  # noqa: A002
    """A message, or the rest of one, is in the queue; `about` is the one whose targets by rules these are."""
    metrics.count(metrics.QUEUED)
    trail.note("queued", id=id, parent=about, targets=targets)
    _log.info("%s", fields(id=id, event="queued", targets=targets))


def journalled(*, id: str, about: str, targets: Sequence[str]) -> None:  # noqa: A002
    """The copy `id` of the message `about` for a journal is in the queue."""
    metrics.count(metrics.QUEUED)
    trail.note("journalled", id=id, parent=about, recipients=list(targets))
    _log.info("%s", fields(id=id, event="journalled", about=about, recipients=",".join(targets)))


def queue_changed(*, id: str, what: str, targets: int, by: str) -> None:  # noqa: A002
    """An operator did something with a queued message; with all of them where there is no id."""
    trail.note(what, id=id, targets=targets, by=by)
    _log.info("%s", fields(id=id or "all", event=f"queue-{what}", targets=targets, by=by))


def attempted(*, id: str, recipient: str, state: str, reply: str) -> None:  # noqa: A002
    """A target of a queued message was tried."""
    metrics.count(metrics.ATTEMPTED, state)
    trail.note("attempted", id=id, recipient=recipient, state=state, reply=reply)
    _log.info("%s", fields(id=id, event="attempted", recipient=recipient, state=state, reply=reply or None))


def handed_on(*, id: str, host: str, address: str, tls: str, recipients: int) -> None:  # noqa: A002
    """Another host took a message for so many recipients; `tls` is version and cipher, "" in the clear."""
    trail.note("handed-on", id=id, host=host, address=address, tls=tls, recipients=recipients)
    _log.info(
        "%s",
        fields(id=id, event="handed-on", host=host, address=address, tls=tls or None, recipients=recipients),
    )


def unanswered(*, id: str, host: str, detail: str) -> None:  # noqa: A002
    """The connection ended behind the end of a message, before its reply: it is sent again and may come twice."""
    trail.note("unanswered", id=id, host=host, detail=detail)
    _log.warning("%s", fields(id=id, event="unanswered", host=host, detail=detail))


def tls_failed(*, host: str, detail: str) -> None:
    """TLS was offered and came to nothing; the message went in the clear, since nothing demands otherwise."""
    _log.info("%s", fields(event="tls-failed", host=host, detail=detail))


def reported(*, id: str, about: str, recipient: str, actions: Sequence[str], double: bool) -> None:  # noqa: A002
    """The report `id` on what became of the message `about` is in the queue."""
    event = "double-bounce" if double else "reported"
    trail.note(event, id=id, parent=about, recipient=recipient, actions=list(actions))
    _log.info("%s", fields(id=id, event=event, about=about, recipient=recipient, actions=",".join(actions)))


def not_reported(*, id: str, recipient: str, reason: str) -> None:  # noqa: A002
    """A recipient failed for good and nobody is told, for this reason."""
    trail.note("not-reported", id=id, recipient=recipient, reason=reason)
    _log.warning("%s", fields(id=id, event="not-reported", recipient=recipient, reason=reason))


def answered(
    *,
    recipient: str,
    client: str,
    error: Deferred | Refused,
    sender: str | None = None,
    id: str = "",  # noqa: A002
) -> None:
    """A recipient was not taken in the session; `id` where the message had one already."""
    answer = "deferred" if isinstance(error, Deferred) else "refused"
    metrics.count(metrics.ANSWERED, answer, error.condition.name.lower())
    trail.note(
        answer,
        id=id,
        return_path=None if sender is None else f"<{sender}>",
        recipient=recipient,
        client=client,
        reply=f"{error.condition.code} {error.condition.enhanced} {error.text}",
        detail=str(error),
    )
    _log.info(
        "%s",
        fields(
            event=answer,
            recipient=recipient,
            client=client,
            condition=error.condition.name.lower(),
            detail=str(error),
        ),
    )


def check_failed(*, id: str, check: str, detail: str) -> None:  # noqa: A002
    """A check of a message's content could not be done."""
    _log.warning("%s", fields(id=id, event="check-failed", check=check, detail=detail))


def login(*, login: str, client: str, service: str, outcome: str, detail: str = "") -> None:
    """A login was tried."""
    metrics.count(metrics.LOGINS, service, outcome)
    _log.info(
        "%s",
        fields(event="login", outcome=outcome, login=login, client=client, service=service, detail=detail or None),
    )


def cut(*, client: str, service: str, reason: str) -> None:
    """A session was ended by this host, not by the client. `reason` is one of few texts."""
    metrics.count(metrics.CUT, service, reason.replace(" ", "_"))
    _log.info("%s", fields(event="session-cut", client=client, service=service, reason=reason))


def bug(*, where: str) -> None:
    """Something that must not happen; with traceback."""
    metrics.count(metrics.BUGS)
    _log.exception("%s", fields(event="bug", where=where))
