"""What happened to a message, in a person's words."""

from __future__ import annotations

from typing import Any

from flask_babel import gettext

from webadmin.ops.queue_words import N_, reason

_WORDS = {
    "received": N_("came in"),
    "accepted": N_("taken by this server"),
    "delivered": N_("delivered to the mailbox"),
    "discarded": N_("thrown away by a rule"),
    "queued": N_("waits in the queue"),
    "journalled": N_("copied to the journal"),
    "handed-on": N_("handed on to another server"),
    "unanswered": N_("another server did not answer"),
    "refused": N_("refused"),
    "deferred": N_("not taken now, the sender tries again"),
    "reported": N_("the sender was told what became of it"),
    "double-bounce": N_("a report failed; the postmaster was told"),
    "not-reported": N_("the sender is not told"),
    "program": N_("given to a program"),
    "vacation": N_("reply of somebody who is away"),
    "sent-copy": N_("kept among sent mail"),
    "hold": N_("held by an administrator"),
    "release": N_("released by an administrator"),
    "retry": N_("tried again by an administrator"),
    "drop": N_("thrown away or taken back"),
    "sending-stopped": N_("the sender may not send any more"),
}
_ATTEMPTS = {
    "done": N_("delivered"),
    "failed": N_("refused for good"),
    "waiting": N_("not taken yet, it is tried again"),
}
#: steps that do not tell how a message stands
_BESIDE = frozenset({"received", "accepted", "sent-copy", "vacation", "release", "retry"})
#: kinds for the colour of a step
GOOD, BAD, WAITS, PLAIN = "done", "failed", "held", ""


def step(one: dict[str, Any]) -> str:
    """One step, without recipients and what other servers said."""
    text = (
        _ATTEMPTS.get(one["state"], _ATTEMPTS["waiting"]) if one["event"] == "attempted" else _WORDS.get(one["event"])
    )
    return str(gettext(text)) if text else one["event"]


def kind(one: dict[str, Any]) -> str:
    """How it is coloured."""
    if one["event"] in ("delivered", "handed-on") or (one["event"] == "attempted" and one["state"] == "done"):
        return GOOD
    if one["event"] in ("refused", "double-bounce") or (one["event"] == "attempted" and one["state"] == "failed"):
        return BAD
    return WAITS if one["event"] in ("deferred", "attempted", "hold", "unanswered") else PLAIN


def end(story: dict[str, Any]) -> dict[str, Any]:
    """The step that tells how a message stands: the last that says more than that it came in."""
    telling = [one for one in story["steps"] if one["event"] not in _BESIDE]
    found: dict[str, Any] = (telling or story["steps"])[-1]
    return found


def why(one: dict[str, Any]) -> str:
    """What an answer of another server means."""
    return reason(one["reply"]) if one["reply"] and kind(one) != GOOD else ""
