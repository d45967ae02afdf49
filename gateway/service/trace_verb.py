"""What became of any message, for the people who look after mail: the verb behind the page and the JSON interface.

Administrators and the help desk see all of it but subjects, who administers a domain what concerns it: of a message
that his people did not submit only what happened to his addresses, and nobody's copies for a journal.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec

from gateway.control.protocol import MAX_LINE
from gateway.control.server import Caller, Right, Verb, VerbError
from gateway.files.trail_search import Event, Story, search
from gateway.service.mail_sight import Hand, Sight, sight
from gateway.service.runner_actors import Actors

LOOK_SECONDS = 15.0
WAIT_SECONDS = 10.0  # for those who look just now
MAX_DAYS = 366
SHORTEST = 3  # characters
MAX_STEPS = 200  # of one message
MAX_RECIPIENTS = 50  # that one step names
MAX_ANSWER = MAX_LINE * 3 // 4
#: steps without a recipient that tell nothing of other domains
_PLAIN = frozenset({"accepted", "queued", "hold", "release", "retry", "drop"})
#: where it went; told to whom all of the message belongs
_WAY = frozenset({"handed-on", "unanswered"})


class Trace(msgspec.Struct, forbid_unknown_fields=True):
    """The newest messages of the last `seconds` that `text` names: an address, a part of one, a Message-ID, an id."""

    text: Annotated[str, msgspec.Meta(min_length=SHORTEST, max_length=300)]
    seconds: Annotated[float, msgspec.Meta(ge=1, le=MAX_DAYS * 86_400.0)] = 7 * 86_400.0
    limit: Annotated[int, msgspec.Meta(ge=1, le=100)] = 50


class TraceVerb:
    """The verb's function; it runs in a thread. One look at a time: it reads much."""

    def __init__(self, trail: Path | None, actors: Actors) -> None:
        """`trail`: the folder of the stories, None = none are kept."""
        self._trail, self._actors = trail, actors
        self._reading = threading.Lock()

    def verbs(self) -> Mapping[str, Verb]:
        """The row of the table."""
        return {"mail-trace": Verb(Right.ACT, self._trace, Trace)}

    def _trace(self, caller: Caller, wanted: Trace) -> dict[str, Any]:
        eye, hand = sight(self._actors, caller)
        if self._trail is None:
            return {"stories": [], "whole": True, "kept": False}
        if len(wanted.text.strip().strip("<>")) < SHORTEST:
            raise VerbError(f"at least {SHORTEST} characters are needed to look for", 2)
        if not self._reading.acquire(timeout=WAIT_SECONDS):
            raise VerbError("others look for messages just now, try again", 4)
        try:
            stories, whole = self._found(self._trail, eye, wanted)
        except OSError as error:
            raise VerbError(f"what happened to messages cannot be read: {error.strerror}", 4) from None
        finally:
            self._reading.release()
        found: list[dict[str, Any]] = []
        room = MAX_ANSWER
        for story in reversed(stories):
            shown = _shown(story, eye, hand)
            if shown is None:
                continue
            room -= len(msgspec.json.encode(shown))
            if room < 0:
                break
            found.append(shown)
        return {"stories": found, "whole": whole, "kept": True}

    @staticmethod
    def _found(trail: Path, eye: Sight, wanted: Trace) -> tuple[list[Story], bool]:
        """The stories, and whether everything was looked through. Raises OSError."""
        now, ends = time.time(), time.monotonic() + LOOK_SECONDS
        query = wanted.text.strip().strip("<>")
        counts = None if eye.sees_all else lambda event: _concerns(event, eye, query.lower())
        stories = search(
            trail,
            query,
            since=now - wanted.seconds,
            until=now,
            limit=wanted.limit,
            counts=counts,
            stop=lambda: time.monotonic() > ends,
        )
        return stories, time.monotonic() <= ends


def _recipients(event: Event) -> list[str]:
    found = event.get("recipients") if isinstance(event.get("recipients"), list) else []
    return [str(each) for each in [*(found or []), event.get("recipient")] if each]


def _concerns(event: Event, eye: Sight, query: str) -> bool:
    """True for what tells of his domains, and is named by something that he may see: otherwise a search would tell him
    who else got a message."""
    if eye.owns(str(event.get("login", ""))):
        return True
    mine = [each for each in _recipients(event) if eye.has(each)]
    if not mine and not eye.owns(str(event.get("account", ""))):
        return False
    seen = [*mine, *(str(event.get(name, "")) for name in ("id", "return_path", "message_id"))]
    return any(query in each.lower() for each in seen)


def _shown(story: Story, eye: Sight, hand: Hand) -> dict[str, Any] | None:
    own = [event for event in story.events if event.get("id", "") == story.id]
    first = next((event for event in own if event["event"] == "received"), story.events[0])
    sent = bool(first.get("login")) and eye.owns(str(first["login"]))
    given = {address.casefold() for address in _recipients(first)}
    steps = []
    for event in story.events:
        if event["event"] == "journalled" and not hand.reaches_all:
            continue
        is_own = event.get("id", "") == story.id
        recipients = [
            each for each in _recipients(event) if eye.has(each) or (sent and is_own and each.casefold() in given)
        ]
        if not eye.sees_all and not recipients and not eye.owns(str(event.get("account", ""))):
            allowed = _PLAIN | _WAY | {"received"} if sent else _PLAIN
            if not is_own or event["event"] not in allowed:
                continue
        steps.append(_step(event, recipients, eye))
        if len(steps) == MAX_STEPS:
            break
    if not steps:
        return None
    return {
        "id": story.id,
        "at": story.began,
        "from": str(first.get("return_path", "")).strip("<>"),
        "login": eye.name_of(str(first.get("login", ""))) if sent else "",
        "to": [each for each in _recipients(first) if eye.has(each) or sent][:MAX_RECIPIENTS],
        "message_id": first.get("message_id", ""),
        "size": first.get("size"),
        "steps": steps,
    }


def _step(event: Event, recipients: list[str], eye: Sight) -> dict[str, Any]:
    step: dict[str, Any] = {
        "at": event["at"],
        "event": event["event"],
        "id": event.get("id", ""),
        "recipients": recipients[:MAX_RECIPIENTS],
        "state": event.get("state", ""),
        "reply": event.get("reply", ""),
    }
    for name in ("service", "client", "host", "targets", "reason", "outcome", "by"):
        if name in event:
            step[name] = event[name]
    if eye.sees_all:
        for name in ("detail", "uid", "program", "code", "actions"):
            if name in event:
                step[name] = event[name]
    return step
