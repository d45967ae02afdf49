"""The outcome of a target as queue.db keeps it until the sender is told (state "telling")."""

from __future__ import annotations

import msgspec

from directory.model import Condition, Deferred, Refused
from gateway.deliver.port import Outcome, Taken
from gateway.mail.dsn import Action
from gateway.queue.file import Target
from gateway.service.reporting import Result

MAX_HOST = 255
MAX_REPLY = 900


class _Settled(msgspec.Struct, frozen=True, omit_defaults=True):
    kind: Action
    condition: str = ""
    status: str = ""
    host: str = ""
    reply: str = ""
    #: for the sender, where it is not the condition's
    text: str = ""
    #: the next host sends the report
    dsn: bool = False


def encode(kind: Action, outcome: Outcome) -> str:
    """What `decode` needs, as text of less than 4000 characters."""
    host, reply = outcome.host[:MAX_HOST], outcome.reply[:MAX_REPLY]
    if isinstance(outcome, Taken):
        settled = _Settled(kind, host=host, reply=reply, dsn=outcome.dsn)
    else:
        text = outcome.text[:MAX_REPLY] if outcome.text != outcome.condition.text else ""
        settled = _Settled(kind, outcome.condition.name, outcome.status[:20], host, reply, text)
    return msgspec.json.encode(settled).decode()


def decode(text: str, target: Target, attempts: int) -> Result | None:
    """The result; None for a text of another version, which can tell nothing any more."""
    try:
        settled = msgspec.json.decode(text, type=_Settled)
        outcome: Outcome = Taken(settled.host, settled.reply, settled.dsn)
        if settled.condition:
            condition = Condition[settled.condition]
            answer = Deferred if condition.is_temporary else Refused
            outcome = answer(
                condition, text=settled.text, status=settled.status, host=settled.host, reply=settled.reply
            )
    except (msgspec.MsgspecError, KeyError):
        return None
    return Result(target, settled.kind, outcome, attempts)
