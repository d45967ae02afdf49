"""Sets of messages in commands: short where they can be, in parts where there are many."""

from __future__ import annotations

from webadmin.mail.store import MAX_IN_SET, uid_set, uid_sets


def test_neighbours_are_a_range_and_the_order_stays() -> None:
    assert uid_set([1, 2, 3, 7, 9, 10]) == b"1:3,7,9:10"
    assert uid_set([9, 5, 6]) == b"9,5:6" and uid_set([]) == b""


def test_any_number_fits_into_lines() -> None:
    far = [4_000_000_000 - 2 * n for n in range(10_000)]
    sets = uid_sets(far)
    assert len(sets) == 5 and max(map(len, sets)) < 65_000
    assert sorted(int(word) for each in sets for word in each.split(b",")) == sorted(far)
    assert uid_sets(range(1, MAX_IN_SET + 2)) == [b"1:%d" % MAX_IN_SET, b"%d" % (MAX_IN_SET + 1)] and uid_sets([]) == []
