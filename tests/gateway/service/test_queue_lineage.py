"""What was made of a message that waits is tried behind it, however much there is."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from gateway.service.queue_lineage import Lineage


def _tried(lineage: Lineage, wanted: Iterable[str]) -> tuple[list[str], int]:
    """The order in which attempts end, begun as soon as they may be, and how often a message was looked at."""
    ready, under_way, order, looks = deque([*wanted, *lineage.first()]), deque[str](), dict[str, None](), 0
    while ready or under_way:
        if ready:
            looks += 1
            message = ready.popleft()
            if message not in order and message not in under_way and not lineage.keeps(message):
                under_way.append(message)
        else:
            ended = under_way.popleft()
            order[ended] = None
            ready.extend(lineage.tried(ended))
    return list(order), looks


def test_each_comes_behind_all_that_it_was_made_of() -> None:
    present = {"a.1", "a.1.R", "a.1.R.x", "a.1.R.y", "a.1.z", "b.1", "c.1.x"}
    order, _ = _tried(Lineage(present), sorted(present, reverse=True))
    assert set(order) == present
    for first, second in (
        ("a.1", "a.1.R"), ("a.1.R", "a.1.R.x"), ("a.1.R", "a.1.R.y"), ("a.1", "a.1.z"),
    ):  # fmt: skip
        assert order.index(first) < order.index(second)


def test_one_whose_origin_is_gone_waits_for_nobody() -> None:
    lineage = Lineage({"a.1.R.x", "a.1.R.x.y"})
    assert lineage.first() == ["a.1.R.x"]
    assert not lineage.keeps("a.1.R.x")
    assert lineage.keeps("a.1.R.x.y")
    assert lineage.tried("a.1.R.x") == ["a.1.R.x.y"]
    assert not lineage.keeps("a.1.R.x.y")


def test_many_reports_are_looked_at_a_few_times_each() -> None:
    origins = [f"{number}.1" for number in range(300)]
    present = {*origins, *(f"{message}.report" for message in origins)}
    order, looks = _tried(Lineage(present), [*sorted(present - set(origins)), *origins])
    assert set(order) == present
    assert looks <= 3 * len(present)
