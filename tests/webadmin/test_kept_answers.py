"""Answers kept for requests that come again take bounded room."""

from __future__ import annotations

from webadmin.api.pace import MAX_OCTETS, Answers


def test_the_oldest_answers_go_when_there_is_no_room() -> None:
    answers, piece = Answers(), b"x" * (MAX_OCTETS // 4)
    for number in range(10):
        answers.keep("jane", str(number), "asked", 200, piece)
        answers.keep("jane", str(number), "asked", 200, piece)  # counted once
    kept = [number for number in range(10) if answers.of("jane", str(number)) is not None]
    assert kept == [6, 7, 8, 9]
