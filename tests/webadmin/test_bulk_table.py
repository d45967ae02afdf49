"""A table of people, when a part of the system stops answering midway."""

from __future__ import annotations

from typing import Any

import pytest

from webadmin.backend import SessionEnded, Unavailable
from webadmin.entries import table


@pytest.mark.parametrize("trouble", [Unavailable("directory", "no answer"), SessionEnded()])
def test_what_was_done_is_told_when_the_rest_cannot_be(monkeypatch: pytest.MonkeyPatch, trouble: Exception) -> None:
    added: list[str] = []

    def ask(verb: str, **arguments: Any) -> Any:
        if verb == "show":
            raise table.NotPossible("there is no such account", table.NO_SUCH)
        if arguments["login"] == "two":
            raise trouble
        added.append(arguments["login"])
        return {"number": 1}

    monkeypatch.setattr(table, "ask", ask)
    rows = table.read("login,password\none,generate\ntwo,generate\nthree,generate\n")
    one, two, three = table.do(rows, rehearse=False)
    assert one.password and not one.problem and added == ["one"]
    assert "not certain" in two.problem and three.problem == table.NOT_TRIED and not three.password
    with pytest.raises(type(trouble)):
        list(table.do(rows, rehearse=True))


def test_a_column_is_told_apart_by_what_stands_most_in_the_first_row() -> None:
    for separator in (",", ";", "\t"):
        (row,) = table.read(f"login{separator}name{separator}title\njane{separator}Jane{separator}Boss\n")
        assert (row.login, row.name, row.values) == ("jane", "Jane", {"title": ["Boss"]})
