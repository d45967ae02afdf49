"""What the dashboard warns of, in a person's words, and where to look."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import url_for
from flask_babel import gettext

from webadmin.ops.queue_words import N_

#: sentence, page that tells more, whether mail or people suffer from it now
_KINDS = {
    "processes": (N_("Some of the processes do not do their work."), "service_log.index", True),
    "reload": (N_("The last reload was refused; the configuration before it is in use."), "configuration.index", False),
    "deletions": (N_("The directory wants to remove so much that nothing was removed: gatepost directory accept-deletions, if it is right."), "", True),
    "directory": (N_("The copy of the directory is not up to date."), "service_log.index", True),
    "volume": (N_("A volume does not answer."), "service_log.index", True),
    "room": (N_("A volume is nearly full."), "quotas.index", False),
    "queue": (N_("The queue cannot be read."), "service_log.index", True),
    "held": (N_("Some mail is held and waits for a decision."), "queue.index", False),
    "stopped": (N_("Some accounts may not send: gatepost user brake list."), "", False),
    "domain": (N_("A domain is full and takes no more mail."), "quotas.index", False),
    "relay": (N_("This host takes mail of everybody for everywhere (smtp.open_relay)."), "configuration.index", True),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Warned:
    """One line of the dashboard."""

    text: str
    detail: str
    url: str
    is_bad: bool


def told(warnings: list[dict[str, Any]]) -> list[Warned]:
    """The worst first."""
    found = []
    for each in warnings:
        text, page, is_bad = _KINDS.get(each["kind"], (each["kind"], "", True))
        more: dict[str, Any] = {"state": "held"} if each["kind"] == "held" else {}
        found.append(Warned(gettext(text), each["detail"], url_for(page, **more) if page else "", is_bad))
    return sorted(found, key=lambda one: not one.is_bad)
