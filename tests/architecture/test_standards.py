"""docs/reference/standards.tsv has a row for every standard that the code cites and for all that the protocols announce."""

from __future__ import annotations

import re
from pathlib import Path

from gateway.imap.commands import COMMANDS as IMAP_COMMANDS
from gateway.imap.registry import CAPABILITIES
from gateway.imap.session import BASE_CAPABILITIES
from gateway.pop3.commands import COMMANDS as POP3_COMMANDS
from gateway.sasl import MECHANISMS
from gateway.smtp.commands import VERBS
from gateway.smtp.extensions import EXTENSIONS

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "reference" / "standards.tsv"
HEAD, *ROWS = (line.split("\t") for line in PAGE.read_text(encoding="utf-8").splitlines())
NAMED = {name: row[1] for row in ROWS for name in row[3].split()}
#: as the house writes it: RFC 9051 6.4.8, or several: RFC 2369, 2919
_CITED = re.compile(r"\bRFC (\d{3,5})\b((?:, \d{4,5}\b(?![.\d]))*)")
SOURCES = [
    path
    for folder in ("gateway", "directory", "webadmin", "docs")
    for path in sorted((ROOT / folder).rglob("*"))
    if path.suffix in (".py", ".md", ".yaml")
]
#: the file of an extension of SMTP is called as its keyword, but for these
_KEYWORDS = {"EIGHTBITMIME": "8BITMIME", "JOURNALLED": "XJOURNALLED"}


def announced() -> set[str]:
    names = {f"IMAP:{name}" for name in (*CAPABILITIES, *BASE_CAPABILITIES) if not name.startswith("AUTH=")}
    names |= {f"IMAP:{name.decode().removeprefix('UID ')}" for name in IMAP_COMMANDS}
    names |= {f"POP3:{name.decode()}" for name in POP3_COMMANDS}
    names |= {f"SMTP:{name.decode()}" for name in VERBS}
    for extension in EXTENSIONS:
        keyword = extension.__name__.rpartition(".")[2].upper()  # type: ignore[attr-defined]
        names.add(f"SMTP:{_KEYWORDS.get(keyword, keyword)}")
    return names | {f"SASL:{name}" for name in MECHANISMS}


def test_rows() -> None:
    assert HEAD == ["RFC", "status", "title", "names", "notes"]
    numbers = [int(row[0]) for row in ROWS if row[0] != "-"]
    assert numbers == sorted(set(numbers))
    for row in ROWS:
        assert len(row) == 5, row
        assert row[1] in ("Yes", "Partial", "No"), row
        assert row[2], row
        assert row[1] != "Partial" or row[4], f"{row[0]}: what is missing?"


def test_everything_announced_has_a_row_and_nothing_else_is_called_there() -> None:
    assert announced() == set(NAMED)
    assert "No" not in NAMED.values()


def test_what_is_cited_has_a_row() -> None:
    known = {row[0] for row in ROWS}
    cited: dict[str, Path] = {}
    for path in SOURCES:
        for first, others in _CITED.findall(path.read_text(encoding="utf-8")):
            for number in (first, *re.findall(r"\d+", others)):
                cited.setdefault(number, path.relative_to(ROOT))
    assert len(cited) > 100
    missing = {number: str(where) for number, where in cited.items() if number not in known}
    assert not missing, f"cited, and without a row in {PAGE.relative_to(ROOT)}: {missing}"
