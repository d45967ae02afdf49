"""Log lines of a file and of journald, as the page shows them."""

from __future__ import annotations

import pytest

from gateway.service.log_verb import AskLog, from_journal, matching

LOG = """\
2026-01-02 03:04:05,006 INFO worker-1[7] event=login outcome=ok login=jane
2026-01-02 03:04:06,006 ERROR queue[8] event=bug where=runner
Traceback (most recent call last):
  File "x.py", line 1, in <module>
ValueError: of something
2026-01-02 03:04:07,006 WARNING agent[9] event=directory-trouble
login      password
jane       jane-password
"""


def texts(**wanted: object) -> list[str]:
    return [line["text"] for line in matching(LOG, AskLog(**wanted))]  # type: ignore[arg-type]


def test_entries_come_newest_first_with_their_traceback_and_nothing_else() -> None:
    found = texts()
    assert [text.splitlines()[0] for text in found] == [
        "event=directory-trouble", "event=bug where=runner", "event=login outcome=ok login=jane",
    ]  # fmt: skip
    assert "ValueError: of something" in found[1]
    assert "jane-password" not in "".join(found), "what somebody else writes there is no log"


@pytest.mark.parametrize(
    ("wanted", "number"),
    [({"level": "warning"}, 2), ({"level": "error"}, 1), ({"text": "LOGIN jane"}, 1), ({"text": "queue bug"}, 1), ({"text": "x y z"}, 0)],
)  # fmt: skip
def test_words_and_level(wanted: dict[str, str], number: int) -> None:
    assert len(texts(**wanted)) == number


def test_rows_of_the_journal_have_the_same_form() -> None:
    row = {"__REALTIME_TIMESTAMP": "1767323045006000", "PRIORITY": "3", "MESSAGE": "queue event=bug", "_PID": "8"}
    (line,) = matching(from_journal(row), AskLog())
    assert (line["level"], line["process"], line["text"]) == ("error", "queue", "event=bug")
    with pytest.raises((ValueError, TypeError, KeyError)):
        from_journal({"__REALTIME_TIMESTAMP": "x"})
