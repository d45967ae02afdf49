"""People in a CSV file: a row each, the first row names the fields. What it would do is looked at before it is done.

A row whose login is known changes that person, another one makes a person. An empty cell leaves the field as it is, `-`
empties it; several values are separated by `;`. `password` is set as it is, or made for `generate`. A column `action` may
say add, change or delete, and then a row does nothing else.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from directory.model import Account
from directory.write_problem import Invalid
from directory.write_values import field_named, fields_of
from webadmin.backend import NotPossible, SessionEnded, Unavailable
from webadmin.entries.form import as_changes, written
from webadmin.entries.passwords import generate
from webadmin.person import ask

MAX_ROWS = 500
MAX_COLUMNS = 60
MAX_CHARACTERS = 256 * 1024
NO_SUCH = 1
#: columns that are no fields of the model
LOGIN, NAME, ADDRESSES, PASSWORD, ACTION = "login", "name", "addresses", "password", "action"
ACTIONS = ("add", "change", "delete")
EMPTY, SEPARATOR = "-", ";"
NOT_TRIED = "not tried: something before it stopped; send the table again"


#: columns of an export, behind login, name and addresses
COLUMNS = (
    "status", "services", "department", "title", "given_name", "surname", "employee_number", "office", "phones",
    "mobile_phones", "quota", "quota_soft", "forwards", "keep_copy", "send_limits", "hidden", "expires",
)  # fmt: skip
HEAD = "\ufeff" + ",".join((LOGIN, NAME, ADDRESSES, *COLUMNS)) + "\r\n"
#: what a spreadsheet takes for a formula, whoever wrote it into his entry, unless an apostrophe stands before it
_FORMULA, _GUARD = ("=", "+", "-", "@", "\t", "\r"), "'"


class BadTable(ValueError):
    """The text is no such table; the message says what is wrong with which line."""


@dataclass(slots=True)
class Row:
    """One person."""

    line: int
    login: str
    name: str
    addresses: tuple[str, ...]
    password: str
    action: str
    values: dict[str, list[str]] = field(default_factory=dict)


@dataclass(slots=True)
class Result:
    """What became of a row, or would."""

    line: int
    login: str
    #: add, change, delete, nothing
    action: str
    fields: tuple[str, ...] = ()
    problem: str = ""
    #: a password that was made
    password: str = field(default="", repr=False)


def _dialect(text: str) -> str:
    """The separator of the columns: spreadsheets write what their country is used to."""
    head = text.split("\n", 1)[0]
    return max((",", ";", "\t"), key=head.count)


def read(text: str) -> list[Row]:
    """The rows. Raises BadTable."""
    text = text.removeprefix("\ufeff")
    if len(text) > MAX_CHARACTERS:
        raise BadTable(f"more than {MAX_CHARACTERS} characters; split the table")
    try:
        lines = [
            (reader.line_num, [cell.strip() for cell in cells])
            for reader in (csv.reader(io.StringIO(text), delimiter=_dialect(text), strict=True),)
            for cells in reader
            if any(cell.strip() for cell in cells)
        ]
    except csv.Error as error:
        raise BadTable(f"no CSV: {error}") from None
    if len(lines) < 2:
        raise BadTable("a first row with the names of the fields is needed, and a row for each person")
    if len(lines) > MAX_ROWS + 1:
        raise BadTable(f"more than {MAX_ROWS} rows; split the table")
    columns = _columns(lines[0][1])
    rows = [_row(line, columns, cells) for line, cells in lines[1:]]
    seen: dict[str, int] = {}
    for row in rows:
        if row.login.casefold() in seen:
            raise BadTable(f"line {row.line}: {row.login} is in line {seen[row.login.casefold()]} already")
        seen[row.login.casefold()] = row.line
    return rows


def _columns(cells: list[str]) -> list[str]:
    if len(cells) > MAX_COLUMNS:
        raise BadTable(f"more than {MAX_COLUMNS} columns")
    found = []
    for cell in cells:
        word = cell.lower()
        try:
            found.append(word if word in (LOGIN, NAME, PASSWORD, ACTION) else field_named(Account, cell).name)
        except Invalid as error:
            raise BadTable(f"column {cell!r}: {error}") from None
    twice = {name for name in found if found.count(name) > 1}
    if twice:
        raise BadTable(f"the column {sorted(twice)[0]} is there twice")
    if LOGIN not in found:
        raise BadTable("a column login is needed")
    return found


def _row(line: int, columns: list[str], cells: list[str]) -> Row:
    if len(cells) > len(columns):
        raise BadTable(f"line {line}: {len(cells)} cells under {len(columns)} columns")
    known = dict(zip(columns, map(_unguarded, cells), strict=False))
    login, action = known.pop(LOGIN, ""), known.pop(ACTION, "").lower()
    if not login:
        raise BadTable(f"line {line}: no login")
    if action and action not in ACTIONS:
        raise BadTable(f"line {line}: the action is one of {', '.join(ACTIONS)}, or nothing")
    row = Row(line, login, known.pop(NAME, ""), (), known.pop(PASSWORD, ""), action)
    for name, cell in known.items():
        if cell:
            parts = [part.strip() for part in cell.split(SEPARATOR)] if _is_multi(name) else [cell]
            row.values[name] = [] if cell == EMPTY else [part for part in parts if part]
    row.addresses = tuple(row.values.get(ADDRESSES, ()))
    return row


def _guarded(cell: str) -> str:
    return _GUARD + cell if cell.startswith(_FORMULA) else cell


def _unguarded(cell: str) -> str:
    return cell[1:] if cell.startswith(_GUARD) and cell[1:].startswith(_FORMULA) else cell


def write(records: Iterable[dict[str, Any]]) -> str:
    """Rows of people, as the verb `export` tells their fields, which `read` takes back."""
    text = io.StringIO()
    writer = csv.writer(text)
    known = fields_of(Account)
    for record in records:
        values = {
            name: SEPARATOR.join(written(name, known[name], value, record["names"]))
            for name, value in record["own"].items()
            if name in known
        }
        cells = (
            record["key"],
            values.get("display_name", ""),
            *(values.get(name, "") for name in (ADDRESSES, *COLUMNS)),
        )
        writer.writerow([_guarded(cell) for cell in cells])
    return text.getvalue()


def _is_multi(name: str) -> bool:
    return field_named(Account, name).is_multi


def do(rows: list[Row], *, rehearse: bool) -> Iterator[Result]:
    """Do row after row, or find out what each would do. What one row cannot do does not stop the others.

    When a part of the system stops answering midway, the rows before keep their results (and their passwords), and those
    behind are not tried. Raises Unavailable, SessionEnded when nothing was done yet.
    """
    stopped = False
    for number, row in enumerate(rows):
        result = Result(row.line, row.login, "")
        try:
            if stopped:
                raise NotPossible(NOT_TRIED)
            _one(row, result, rehearse)
        except NotPossible as problem:
            result.problem = str(problem)
        except (Unavailable, SessionEnded) as trouble:
            if rehearse or number == 0:
                raise
            stopped = True
            result.problem = f"it is not certain whether this was done: {str(trouble) or 'the session has ended'}"
        yield result


def _one(row: Row, result: Result, rehearse: bool) -> None:
    there = _there(row.login)
    result.action = row.action or ("change" if there else "add")
    if result.action == "add":
        _add(row, result, rehearse)
    elif there is None:
        raise NotPossible(f"there is no {row.login} that you may look at")
    elif result.action == "delete":
        if not there["may_delete"]:
            raise NotPossible("you have no right to delete this entry", 5)
        if not rehearse:
            ask("delete", kind="user", name=row.login)
    else:
        _change(row, result, there, rehearse)


def _there(login: str) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = ask("show", kind="user", name=login)
    except NotPossible as problem:
        if problem.code == NO_SUCH:
            return None
        raise
    return found


def _password(row: Row, result: Result, rehearse: bool) -> str:
    if row.password.lower() != "generate":
        return row.password
    if rehearse:
        return ""
    result.password = generate()
    return result.password


def _add(row: Row, result: Result, rehearse: bool) -> None:
    values = {name: texts for name, texts in row.values.items() if name != ADDRESSES and texts}
    result.fields = tuple(row.values)
    name = row.name or next(iter(values.pop("display_name", [])), "") or row.login
    made = _password(row, result, rehearse)
    try:
        ask(
            "add-user",
            login=row.login,
            name=name,
            addresses=row.addresses,
            changes=as_changes(values),
            password=made,
            rehearse=rehearse,
        )
    except NotPossible:
        result.password = ""
        raise


def _change(row: Row, result: Result, there: dict[str, Any], rehearse: bool) -> None:
    values = dict(row.values)
    if row.name:
        values["display_name"] = [row.name]
    result.fields = (*values, *(["password"] if row.password else []))
    if not result.fields:
        result.action = "nothing"
        return
    if values:
        done = ask("change", kind="user", name=row.login, changes=as_changes(values), rehearse=rehearse)
        if not done["number"] and not row.password:
            result.action = "nothing"
    if row.password and not there["may_set_password"]:
        raise NotPossible("you have no right to set this password", 5)
    if row.password and not rehearse:
        made = _password(row, result, rehearse)
        try:
            ask("set-password", login=row.login, password=made)
        except NotPossible:
            result.password = ""
            raise
