"""Why a message waits, in a person's words. What the other side said stands beside them, as it said it."""

from __future__ import annotations

import re
from typing import Any

from flask_babel import gettext

from webadmin.shown import when

ENHANCED = re.compile(r"\b[245]\.(\d{1,3})\.(\d{1,3})\b")
#: the text with which the brake holds mail, see gateway/queue/state.py
STOPPED = "sending is stopped for the account"


def N_(text: str) -> str:  # noqa: N802 (the name by which the texts of the catalogues are found)
    """A text that is translated where it is shown."""
    return text


_EXACT = {
    (1, 1): N_("the address is not known there"),
    (1, 2): N_("the domain is not known"),
    (1, 8): N_("the other server does not know the sender"),
    (2, 1): N_("the mailbox is switched off"),
    (2, 2): N_("the mailbox is full"),
    (2, 3): N_("the message is too large for the mailbox"),
    (3, 1): N_("the other server has no room left"),
    (3, 4): N_("the message is too large"),
    (4, 1): N_("the other server does not answer"),
    (4, 2): N_("the connection to the other server broke"),
    (4, 3): N_("the directory or the name servers do not answer"),
    (4, 4): N_("there is no way to the other server"),
    (4, 6): N_("the message goes round in circles"),
    (4, 7): N_("it took too long"),
    (5, 3): N_("the message has too many recipients for the other server"),
    (7, 5): N_("the connection could not be protected as it has to be"),
}  # fmt: skip
_GENERAL = {
    1: N_("the address was not taken"),
    2: N_("the mailbox does not take it"),
    3: N_("the receiving system has trouble"),
    4: N_("the way to the other server has trouble"),
    5: N_("the two servers did not understand each other"),
    6: N_("the other server cannot take this kind of message"),
    7: N_("the other server does not want it now, by a rule of its own"),
}
_STATES = {
    "new": N_("new"),
    "later": N_("sent later"),
    "trying": N_("being delivered"),
    "deferred": N_("tried, waits"),
    "held": N_("held"),
    "failed": N_("failed"),
    "done": N_("delivered"),
}
_SENTENCES = {
    "trying": N_("It is being delivered at this moment."),
    "held": N_("It is held until somebody releases it."),
    "failed": N_("It could not be delivered for good; its sender is being told."),
    "done": N_("It is delivered."),
    "new": N_("It has come in and is tried in a moment."),
}


def reason(reply: str) -> str:
    """What an answer means, by its enhanced status code (RFC 3463 3); "" for one that has none that is known."""
    found = ENHANCED.search(reply)
    if found is None:
        return ""
    subject, detail = int(found[1]), int(found[2])
    text = _EXACT.get((subject, detail), _GENERAL.get(subject, ""))
    return str(gettext(text)) if text else ""


def state(target: dict[str, Any]) -> str:
    """One word or two."""
    word = _STATES[target["state"]]
    return str(gettext(word))


def why(target: dict[str, Any], message: dict[str, Any]) -> str:
    """A sentence for one recipient of a message."""
    now, text = target["state"], ""
    if now == "later":
        text = gettext("The sender wishes it to go at %(time)s.", time=when(message["not_before"]))
    elif now == "held" and STOPPED in target["reply"]:
        text = gettext("It is held because its sender may not send at the moment.")
    elif now == "deferred" and (because := reason(target["reply"])):
        text = gettext("Not taken yet: %(reason)s. Next try at %(time)s.", reason=because, time=when(target["due"]))
    elif now == "deferred":
        text = gettext("Not taken yet. Next try at %(time)s.", time=when(target["due"]))
    return text or str(gettext(_SENTENCES[now]))
