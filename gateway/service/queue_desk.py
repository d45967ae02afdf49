"""Queued messages for the people who look after mail: the verbs behind the page and the JSON interface of the queue.

Administrators and the help desk see all of them, who administers a domain those that concern it, nobody their
contents. A look through the queue ends after a while; its answer tells where to go on.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from gateway.control.protocol import MAX_LINE
from gateway.control.server import Caller, Right, Verb, VerbError
from gateway.queue.file import Damaged, QueuedEnvelope, QueueFolder
from gateway.queue.shown import of_envelope
from gateway.queue.state import DONE, FAILED, HELD, TRYING, TargetRow, rows_of
from gateway.service.mail_sight import Hand, Seen, Sight, canonical, sight
from gateway.service.queue_verbs import QueueVerbs
from gateway.service.runner_actors import Actors

LOOK_SECONDS = 3.0
WAIT_SECONDS = 15.0  # for those who look just now
MAX_SHOWN = 100  # messages
MAX_TARGETS = 20  # of a message in a list
MAX_ANSWER = MAX_LINE * 3 // 4
NEW, LATER, DEFERRED = "new", "later", "deferred"
Text = Annotated[str, msgspec.Meta(max_length=300)]
Id = Annotated[str, msgspec.Meta(max_length=100)]


class ListQueue(msgspec.Struct, forbid_unknown_fields=True):
    """The oldest messages behind the one of id `after`. `sender` and `recipient` are parts of addresses, `domain` that of
    either; `state`: of a target that is not delivered yet."""

    sender: Text = ""
    recipient: Text = ""
    domain: Text = ""
    state: Literal["", "new", "later", "trying", "deferred", "held", "failed"] = ""
    after: Id = ""
    limit: Annotated[int, msgspec.Meta(ge=1, le=MAX_SHOWN)] = 50


class OneQueued(msgspec.Struct, forbid_unknown_fields=True):
    """The message of that id."""

    message: Id


class ChangeQueued(msgspec.Struct, forbid_unknown_fields=True):
    """What is to be done with it; what is dropped is gone, and nobody is told."""

    message: Id
    what: Literal["hold", "release", "retry", "drop"]


class QueueDesk:
    """The verbs' functions; they run in threads, and files are read in these."""

    def __init__(self, verbs: QueueVerbs, folder: QueueFolder, database: Path, actors: Actors) -> None:
        self._verbs, self._folder, self._database, self._actors = verbs, folder, database, actors
        self._looking = threading.Lock()  # one look at a time: deliveries are made in this process

    def verbs(self) -> Mapping[str, Verb]:
        """The rows of the table."""
        return {
            "queued-list": Verb(Right.ACT, self._list, ListQueue),
            "queued-show": Verb(Right.ACT, self._show, OneQueued),
            "queued-change": Verb(Right.ACT, self._change, ChangeQueued),
        }

    def _list(self, caller: Caller, wanted: ListQueue) -> dict[str, Any]:
        eye, hand = sight(self._actors, caller)
        if not self._looking.acquire(timeout=WAIT_SECONDS):
            raise VerbError("others look through the queue just now, try again", 4)
        try:
            return self._look(eye, hand, wanted)
        finally:
            self._looking.release()

    def _look(self, eye: Sight, hand: Hand, wanted: ListQueue) -> dict[str, Any]:
        ends, now = time.monotonic() + LOOK_SECONDS, time.time()
        try:
            names = sorted(name for name in self._folder.names() if name > wanted.after)
        except OSError as error:
            raise VerbError(f"the queue cannot be read: {error.strerror}", 4) from None
        found: list[dict[str, Any]] = []
        room, last = MAX_ANSWER, ""
        for name in names:
            if len(found) == wanted.limit or room < 0 or time.monotonic() > ends:
                return {"messages": found, "total": len(names), "next": last}
            last = name
            shown = self._listed(name, eye, hand, wanted, now)
            if shown is not None:
                found.append(shown)
                room -= len(msgspec.json.encode(shown))
        return {"messages": found, "total": len(names), "next": ""}

    def _listed(self, name: str, eye: Sight, hand: Hand, wanted: ListQueue, now: float) -> dict[str, Any] | None:
        """A row, None for what was not asked for and what has gone."""
        try:
            envelope = self._folder.read(name)
        except FileNotFoundError:
            return None
        except (Damaged, OSError) as error:
            return _damaged(name, str(error)) if eye.sees_all and _asks_for_all(wanted) else None
        seen = eye.targets(envelope)
        if not seen or not _fits(envelope, seen, wanted):
            return None
        rows = {row.number: row for row in rows_of(self._database, name).get(name, [])}
        targets = [_target(one, rows.get(one.number), envelope, now) for one in seen]
        targets = [target for target in targets if target["state"] != DONE]
        if not targets or (wanted.state and all(target["state"] != wanted.state for target in targets)):
            return None
        return {
            **of_envelope(envelope),
            "targets": targets[:MAX_TARGETS],
            "open": len(targets),
            "may_change": not hand.refusal(envelope),
            "problem": "",
        }

    def _one(self, eye: Sight, message: str) -> QueuedEnvelope:
        """Of a message that he may see. Raises VerbError."""
        none = VerbError(f"no message {message} that you may look at is in the queue", 1)
        if not message or "/" in message or message.startswith("."):
            raise none
        try:
            envelope = self._folder.read(message)
        except (FileNotFoundError, ValueError):
            raise none from None
        except (Damaged, OSError) as error:
            raise VerbError(f"{message}: {error}", 1) if eye.sees_all else none from None
        if not eye.targets(envelope):
            raise none
        return envelope

    def _show(self, caller: Caller, wanted: OneQueued) -> dict[str, Any]:
        eye, hand = sight(self._actors, caller)
        envelope = self._one(eye, wanted.message)
        who = envelope.login or envelope.owner
        seen = {one.number: one for one in eye.targets(envelope)}
        told, now = self._verbs.explained(wanted.message), time.time()
        targets: list[dict[str, Any]] = []
        room = MAX_ANSWER
        for facts in told["targets"]:
            number = facts["number"]
            if number not in seen:
                continue
            row = TargetRow(number, facts["state"], facts["attempts"], facts["due"], facts["reply"], facts["owed"])
            steps = facts["steps"] if eye.sees_all else []
            targets.append({**_target(seen[number], row, envelope, now), "steps": steps})
            room -= len(msgspec.json.encode(targets[-1]))
            if room < 0:
                break
        return {
            **of_envelope(envelope),
            "targets": targets,
            "hidden": len(envelope.targets) - len(targets),
            "is_tried_now": told["is_tried_now"],
            "given_up": told["given_up"],
            "submitted_by": eye.name_of(who) if eye.owns(who) else "",
            "refusal": hand.refusal(envelope),
        }

    def _change(self, caller: Caller, wanted: ChangeQueued) -> dict[str, Any]:
        eye, hand = sight(self._actors, caller)
        refusal = hand.refusal(self._one(eye, wanted.message))
        if refusal:
            raise VerbError(refusal, 5)
        by = eye.actor.name
        if wanted.what == "drop":
            number = self._verbs.drop(wanted.message, by)
        else:
            number = self._verbs.change(wanted.what, wanted.message, by)
        return {"what": wanted.what, "message": wanted.message, "targets": number}


def _damaged(name: str, why: str) -> dict[str, Any]:
    """A file that is no message of the queue: it is shown, so that somebody looks at it."""
    return {
        "id": name,
        "return_path": "",
        "arrival": 0.0,
        "not_before": 0.0,
        "size": 0,
        "targets": [],
        "open": 0,
        "may_change": False,
        "problem": why,
    }


def _asks_for_all(wanted: ListQueue) -> bool:
    return not (wanted.sender or wanted.recipient or wanted.domain or wanted.state)


def _fits(envelope: QueuedEnvelope, seen: list[Seen], wanted: ListQueue) -> bool:
    sender = envelope.return_path.casefold()
    recipients = [one.address.casefold() for one in seen]
    if wanted.sender and (wanted.sender.casefold() not in sender if wanted.sender != "<>" else sender):
        return False
    if wanted.recipient and not any(wanted.recipient.casefold() in address for address in recipients):
        return False
    domain = canonical(wanted.domain.lstrip("@")) if wanted.domain else ""
    return not domain or any(canonical(address.rpartition("@")[2]) == domain for address in (sender, *recipients))


def _target(seen: Seen, row: TargetRow | None, envelope: QueuedEnvelope, now: float) -> dict[str, Any]:
    """One target; its state is one of done, held, failed (being reported), trying, later (the sender's wish), deferred, new."""
    state = row.state if row is not None else NEW
    if state not in (DONE, HELD, FAILED, TRYING):
        is_new = row is None or not row.reply  # `attempts` also grows when it is held and released
        state = LATER if is_new and envelope.not_before > now else NEW if is_new else DEFERRED
    return {
        "address": seen.address,
        "state": state,
        "attempts": row.attempts if row is not None else 0,
        "due": row.due if row is not None else 0.0,
        "reply": row.reply if row is not None and seen.with_reply else "",
        "owed": row.owed if row is not None else "",
    }
