"""The trail of messages: what is written, found, left out and removed."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from gateway.files.trail import DAY, TrailFile, day_of, purge
from gateway.files.trail_search import Story, search
from gateway.observe import trail

NOW = 1_800_000_000.0


class Clock:
    now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def write(file: TrailFile, **event: object) -> None:
    file.write(msgspec.json.encode(event) + b"\n")


def find(folder: Path, query: str, limit: int = 10, since: float = NOW - 40 * DAY) -> list[Story]:
    return search(folder, query, since=since, until=NOW + 40 * DAY, limit=limit)


def told(stories: list[Story]) -> list[tuple[str, list[str]]]:
    return [(story.id, [event["event"] for event in story.events]) for story in stories]


def test_a_message_is_found_by_all_its_names_with_what_came_of_it(tmp_path: Path, clock: Clock) -> None:
    worker, queue = (TrailFile(tmp_path, name, 10**6, clock) for name in ("worker-0", "queue"))
    write(worker, event="received", id="m1", return_path="<Ann@x.example>", recipients=["bob@y.example", "王@z.example"],
          message_id="<q1@x>", subject="secret plan")  # fmt: skip
    clock.now += 1
    write(worker, event="queued", id="m1", targets=2)
    clock.now += DAY  # tomorrow, in another process
    write(queue, event="attempted", id="m1", recipient="bob@y.example", state="failed", reply="550 no")
    write(queue, event="reported", id="m2", parent="m1")
    clock.now += 1
    write(worker, event="delivered", id="m2", recipient="ann@x.example")
    write(worker, event="received", id="m10", return_path="<eve@x.example>")
    whole = [("m1", ["received", "queued", "attempted", "reported", "delivered"])]
    for query in ("m1", "ANN@x.example", "bob@y", "王@z.example", "q1@x"):
        found = told(find(tmp_path, query))
        assert whole[0] in found, query
    assert told(find(tmp_path, "bob@y.example")) == whole
    assert told(find(tmp_path, "secret plan")) == [], "never by subject"
    assert told(find(tmp_path, "nobody@x.example")) == []
    assert told(find(tmp_path, "eve@")) == [("m10", ["received"])]
    assert told(find(tmp_path, ".*@.*")) == [], "a query is no pattern"
    assert told(find(tmp_path, "m1", since=NOW + DAY - 5))[0][0] == "m1", "found late, shown whole"


def test_the_newest_are_shown_and_answers_without_id_stand_alone(tmp_path: Path, clock: Clock) -> None:
    file = TrailFile(tmp_path, "worker-0", 10**6, clock)
    for number in range(5):
        clock.now += 1
        write(file, event="received", id=f"id{number}", return_path="<a@x.example>")
    write(file, event="refused", return_path="<a@x.example>", recipient="no@y.example", reply="550")
    assert [story.id for story in find(tmp_path, "a@x.example", 3)] == ["id3", "id4", ""]


def test_a_cut_line_is_passed_over(tmp_path: Path, clock: Clock) -> None:
    file = TrailFile(tmp_path, "worker-0", 10**6, clock)
    write(file, event="received", id="m1", return_path="<a@x>")
    file.close()
    with (tmp_path / f"{day_of(NOW)}.worker-0").open("ab") as damaged:
        damaged.write(b'{"at":1,"event":"rec\n\n{"a@x": \x00\n')
    write(file, event="delivered", id="m1", recipient="a@x")
    assert told(find(tmp_path, "a@x")) == [("m1", ["received", "delivered"])]


def test_a_day_has_a_bound_and_trouble_raises_nothing(tmp_path: Path, clock: Clock) -> None:
    line = b'{"event":"x","id":"m1"}\n'
    size = len(b'{"at":%.6f,' % NOW + line[1:])
    file = TrailFile(tmp_path, "w", 2 * size, clock)
    for _ in range(3):
        file.write(line)
    assert (tmp_path / f"{day_of(NOW)}.w").stat().st_size == 2 * size
    clock.now += DAY
    file.write(line)
    assert (tmp_path / f"{day_of(NOW + DAY)}.w").stat().st_size == size
    again = TrailFile(tmp_path, "w", size, clock)  # a process started anew counts what is there
    again.write(line)
    assert (tmp_path / f"{day_of(NOW + DAY)}.w").stat().st_size == size
    (tmp_path / "file").write_bytes(b"")
    TrailFile(tmp_path / "file" / "below", "w", size, clock).write(line)


def test_old_days_go_and_other_files_stay(tmp_path: Path) -> None:
    for name in (f"{day_of(NOW - 31 * DAY)}.w", f"{day_of(NOW - 30 * DAY)}.w", f"{day_of(NOW)}.w", "notes", "123.w"):
        (tmp_path / name).write_bytes(b"")
    assert purge(tmp_path, 30 * DAY, NOW) == 1
    assert not (tmp_path / f"{day_of(NOW - 31 * DAY)}.w").exists()
    assert len(os.listdir(tmp_path)) == 4
    assert purge(tmp_path / "none", 30 * DAY, NOW) == 0


def test_events_go_nowhere_until_somebody_takes_them() -> None:
    taken: list[bytes] = []
    trail.note("lost")
    trail.use(taken.append)
    try:
        trail.note("delivered", id="m1", recipient="a@x", uid=0, reply="", login=None)
    finally:
        trail.use(None)
    assert taken == [b'{"event":"delivered","id":"m1","recipient":"a@x","uid":0}\n']


def test_a_look_is_bounded_in_memory_and_ends_when_it_is_told_to(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.files.trail_search.MAX_KEPT", 5)
    file = TrailFile(tmp_path, "worker-0", 10**6, clock)
    for number in range(30):
        clock.now += 1
        write(file, event="received", id=f"n{number:02}", return_path="<ann@x.example>")
    assert [story.id for story in find(tmp_path, "ann@x.example", limit=3)] == ["n27", "n28", "n29"]
    times = {"since": NOW - DAY, "until": NOW + DAY, "limit": 3}
    assert search(tmp_path, "ann@x.example", stop=lambda: True, **times) == []  # type: ignore[arg-type]
    odd = search(tmp_path, "ann@x.example", counts=lambda event: event["id"] == "n07", **times)  # type: ignore[arg-type]
    assert [story.id for story in odd] == ["n07"]
