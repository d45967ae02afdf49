"""Attributes that a server sends in parts (Active Directory's `member;range=0-1499`) are read to their end."""

from __future__ import annotations

from typing import Any

import pytest

from directory.model import Deferred
from directory.tracker.listing import whole


class Ranged:
    """Answers base searches for parts of `member`, as Active Directory does."""

    def __init__(self, values: list[bytes], size: int, *, vanishes: bool = False) -> None:
        self.values, self.size, self.vanishes = values, size, vanishes
        self.asked: list[str] = []

    def first(self) -> dict[str, list[bytes]]:
        return {"cn": [b"all"], **self.part(0)}

    def part(self, start: int) -> dict[str, list[bytes]]:
        values = self.values[start : start + self.size]
        end = "*" if start + self.size >= len(self.values) else str(start + len(values) - 1)
        return {f"member;range={start}-{end}": values}

    def search(self, base: str, filter_text: str, scope: Any, /, *args: Any, attributes: list[str]) -> Any:
        self.asked += attributes
        if self.vanishes:
            return False, {"result": 32, "description": "noSuchObject"}, [], {}
        start = int(attributes[0].partition("range=")[2].partition("-")[0])
        entry = {"type": "searchResEntry", "raw_attributes": self.part(start)}
        return True, {"result": 0, "description": "success"}, [entry], {}


@pytest.mark.parametrize(("count", "questions"), [(1500, 0), (1501, 1), (4000, 2)])
def test_all_values_are_read(count: int, questions: int) -> None:
    server = Ranged([b"cn=%d" % n for n in range(count)], 1500)
    assert whole(server, "cn=all", server.first()) == {"cn": [b"all"], "member": server.values}
    assert len(server.asked) == questions


def test_half_an_attribute_is_not_taken_for_the_whole() -> None:
    server = Ranged([b"cn=%d" % n for n in range(4000)], 1500, vanishes=True)
    with pytest.raises(Deferred):
        whole(server, "cn=all", server.first())
