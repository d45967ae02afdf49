"""What somebody may see of the stories of messages: those that he submitted and those that came to his store.

Of a message that he sent he sees the recipients as he gave them and what became of each; where an alias, a forward or a
list led it is the business of others. Of one that came to him he sees who sent it, when, and that it was delivered,
never who else got it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from gateway.files.trail_search import Event, Story, complete, files_of, in_json, lines_of

MAX_CANDIDATES = 300  # newest messages of a person that are looked at
MAX_STEPS = 100  # of one message
_OUTGOING = frozenset({"accepted", "delivered", "queued", "attempted", "reported", "not-reported", "drop", "handed-on"})


def search_own(
    folder: Path, account: str, query: str, *, since: float, until: float, limit: int
) -> list[dict[str, Any]]:
    """The `limit` newest messages of an account in which `query` occurs (an address or a Message-ID; "" = all), the
    newest first. Raises OSError."""
    wanted = re.compile(in_json(account))
    stories: dict[str, Story] = {}
    for path in files_of(folder, since, until):
        for event in lines_of(path, wanted):
            if since <= event.get("at", 0.0) <= until and event.get("id") and _is_his(event, account):
                stories.setdefault(event["id"], Story(event["id"], [event]))
        if len(stories) >= MAX_CANDIDATES:
            break  # the files of older days have older ones
    newest = sorted(stories.values(), key=lambda story: story.began)[-MAX_CANDIDATES:]
    chosen = {story.id: story for story in newest}
    complete(folder, chosen)
    found = []
    for story in reversed(newest):
        shown = _shown(story, account)
        if shown is not None and _matches(shown, query.strip().strip("<>").casefold()):
            found.append(shown)
            if len(found) == limit:
                break
    return found


def _is_his(event: Event, account: str) -> bool:
    if event["event"] == "received":
        return bool(event.get("login") == account)
    return event["event"] in ("delivered", "discarded") and event.get("account") == account


def _matches(shown: dict[str, Any], query: str) -> bool:
    return not query or any(
        query in text.casefold() for text in (shown["from"], shown["message_id"], shown["subject"], *shown["to"])
    )


def _shown(story: Story, account: str) -> dict[str, Any] | None:
    own = [event for event in story.events if event.get("id") == story.id]
    first = next((event for event in own if event["event"] == "received"), None)
    came = next((event for event in own if event["event"] == "delivered" and event.get("account") == account), None)
    if first is not None and first.get("login") == account:
        return _sent(story.id, first, own)
    if came is None:
        return None
    return {
        "id": story.id,
        "at": (first or came)["at"],
        "direction": "in",
        "from": str((first or {}).get("return_path", "")).strip("<>"),
        "to": [came["recipient"]],
        "message_id": (first or {}).get("message_id", ""),
        "subject": (first or {}).get("subject", ""),
        "steps": [{"at": came["at"], "event": "delivered", "recipient": came["recipient"], "state": "", "reply": ""}],
    }


def _sent(message: str, first: Event, own: list[Event]) -> dict[str, Any]:
    given = {str(address).casefold(): str(address) for address in first.get("recipients") or []}
    steps: list[dict[str, Any]] = []
    for event in own:
        if event["event"] not in _OUTGOING or len(steps) >= MAX_STEPS:
            continue
        recipient = given.get(str(event.get("recipient", "")).casefold(), "")
        if event["event"] in ("delivered", "attempted") and not recipient:
            continue  # where an alias, a forward or a list led
        steps.append({
            "at": event["at"],
            "event": event["event"],
            "recipient": recipient,
            "state": event.get("state", ""),
            "reply": event.get("reply", ""),
        })  # fmt: skip
    return {
        "id": message,
        "at": first["at"],
        "direction": "out",
        "from": str(first.get("return_path", "")).strip("<>"),
        "to": list(given.values()),
        "message_id": first.get("message_id", ""),
        "subject": first.get("subject", ""),
        "steps": steps,
    }
