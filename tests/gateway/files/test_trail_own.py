"""What somebody sees of the stories of messages: his own, without what is the business of others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.files.trail import TrailFile
from gateway.files.trail_own import search_own

NOW = 1_800_000_000.0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    file = TrailFile(tmp_path, "test", 1 << 20, lambda: NOW)
    for event in (
        {"event": "received", "id": "m1", "login": "t:ann", "return_path": "<ann@x.example>", "message_id": "<1@x>",
         "recipients": ["team@x.example", "Bob@far.example", "kim@x.example"], "subject": "Plan"},
        {"event": "accepted", "id": "m1"},
        {"event": "delivered", "id": "m1", "recipient": "kim@x.example", "account": "t:kim", "uid": 7},
        {"event": "delivered", "id": "m1", "recipient": "secret@x.example", "account": "t:secret", "uid": 3},
        {"event": "attempted", "id": "m1", "recipient": "bob@far.example", "state": "waiting", "reply": "450 later"},
        {"event": "attempted", "id": "m1", "recipient": "private@elsewhere.example", "state": "failed", "reply": "550 private"},
        {"event": "received", "id": "m2", "return_path": "<far@far.example>", "recipients": ["kim@x.example", "hidden@x.example"]},
        {"event": "delivered", "id": "m2", "recipient": "kim@x.example", "account": "t:kim", "uid": 8},
        {"event": "received", "id": "m3", "login": "t:annabel", "return_path": "<annabel@x.example>", "recipients": ["t:ann@x.example"]},
    ):  # fmt: skip
        file.write(msgspec.json.encode(event) + b"\n")
    return tmp_path


def find(folder: Path, account: str, query: str = "", limit: int = 10) -> list[dict[str, Any]]:
    return search_own(folder, account, query, since=NOW - 3600, until=NOW + 3600, limit=limit)


def test_the_author_sees_each_recipient_as_he_gave_it(folder: Path) -> None:
    (story,) = find(folder, "t:ann")
    assert (story["direction"], story["subject"]) == ("out", "Plan")
    assert story["to"] == ["team@x.example", "Bob@far.example", "kim@x.example"]
    assert [(step["event"], step["recipient"], step["reply"]) for step in story["steps"]] == [
        ("accepted", "", ""),
        ("delivered", "kim@x.example", ""),
        ("attempted", "Bob@far.example", "450 later"),
    ]
    assert "secret" not in str(story) and "private" not in str(story)


def test_the_recipient_sees_who_wrote_and_not_who_else_got_it(folder: Path) -> None:
    found = find(folder, "t:kim")
    assert {story["id"] for story in found} == {"m1", "m2"} and {story["direction"] for story in found} == {"in"}
    assert {story["from"] for story in found} == {"ann@x.example", "far@far.example"}
    assert not any(word in str(found) for word in ("team", "Bob", "hidden", "secret", "450"))


def test_what_is_searched_is_what_he_sees(folder: Path) -> None:
    assert [story["id"] for story in find(folder, "t:kim", "FAR@far")] == ["m2"]
    assert find(folder, "t:kim", "hidden@x.example") == [], "nobody learns by asking who else got it"
    assert find(folder, "t:ann", "secret") == []
    assert [story["id"] for story in find(folder, "t:ann", "<1@x>")] == ["m1"]
    assert len(find(folder, "t:kim", limit=1)) == 1


def test_accounts_that_begin_alike_are_not_mixed_up(folder: Path) -> None:
    assert [story["id"] for story in find(folder, "t:annabel")] == ["m3"]
    assert find(folder, "t:an") == [] and find(folder, "kim@x.example") == []
    assert find(folder / "nothing", "t:ann") == []
