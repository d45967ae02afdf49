"""A virtual domain of VmailMgr: its password table (passwd.cdb, or passwd as text) and the users' own folders.

A record of the table (format 2): the octet 2; pairs of (attribute, value), ended by 0; then fields each ended by 0:
password, mailbox, each forward and an empty one, personal data, hard quota, soft quota, largest message, most
messages, time of creation, expiry.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from gateway.imports import cdb
from gateway.imports.result import Entry, Result

UNLIMITED = 0xFFFFFFFF
MAILBOX_ENABLED = 8
DEFAULT = "+"  # the user that gets what nobody owns
#: where a user's automatic answer lies, in the folder of his mailbox
AUTORESPONSE = ("autoresponse/message.txt", "autoresponse.txt", "autoresponse")


@dataclass(frozen=True, slots=True)
class VirtualUser:
    """One record."""

    password: str
    mailbox: str
    forwards: tuple[str, ...]
    personal: str
    hard: int | None
    soft: int | None
    size: int | None
    count: int | None
    expiry: int | None
    enabled: bool


def decoded(data: bytes) -> VirtualUser:
    """A record of the table. Raises ValueError."""
    if not data.startswith(b"\x02"):
        raise ValueError("a record of an older format; `vupgrade` turns it into a new one")
    place, enabled = 1, True
    while place < len(data) and data[place]:
        if place + 1 >= len(data):
            raise ValueError("a record that ends in its attributes")
        if data[place] == MAILBOX_ENABLED:
            enabled = bool(data[place + 1])
        place += 2
    fields = [part.decode("utf-8", "replace") for part in data[place + 1 :].split(b"\0")]
    if len(fields) < 3:
        raise ValueError("a record that is cut off")
    password, mailbox, *rest = fields
    forwards = []
    while rest and rest[0]:
        forwards.append(rest.pop(0))
    rest = rest[1:]
    personal, *numbers = rest or [""]

    def number(index: int) -> int | None:
        text = numbers[index] if index < len(numbers) else ""
        return int(text) if text.isascii() and text.isdigit() and int(text) != UNLIMITED else None

    return VirtualUser(
        password, mailbox, tuple(forwards), personal, number(0), number(1), number(2), number(3), number(5), enabled
    )


def parsed(line: str) -> tuple[str, VirtualUser]:
    """A line of a table in text: name:password:mailbox:forward,forward. Raises ValueError."""
    name, *fields = line.rstrip().split(":")
    if not name or len(fields) < 2:
        raise ValueError("name:password:mailbox:forwards is wanted")
    forwards = tuple(word for text in fields[2:3] for word in text.split(",") if word)
    return name, VirtualUser(fields[0], fields[1], forwards, "", None, None, None, None, None, True)


def run(folder: Path, base: str, domain: str, me: str = "") -> Result:
    """Import the domain in `folder`. `me`: what completes an address without a domain. Raises OSError, ValueError."""
    result = Result(base)
    result.entry("domain", domain).put("gatepostDomainName", domain)
    table = folder / "passwd.cdb"
    if table.exists():
        found = [
            (number, name.decode("utf-8", "replace"), decoded(data))
            for number, (name, data) in enumerate(cdb.records(table.read_bytes()), 1)
        ]
    else:
        table = folder / "passwd"
        found = []
        for number, line in enumerate(table.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            try:
                found.append((number, *parsed(line)))
            except ValueError as error:
                result.lost(table, number, line.partition(":")[0], str(error))
    for number, name, user in found:
        _one(result, table, number, name.lower(), user, folder, domain, me or domain)
    return result


def _one(
    result: Result, table: Path, number: int, name: str, user: VirtualUser, folder: Path, domain: str, me: str
) -> None:
    forwards = [address if "@" in address else f"{address}@{me}" for address in user.forwards]
    if name == DEFAULT:
        if user.mailbox:
            result.lost(
                table, number, name, "its mailbox: give it an address of its own; its forwards are the catch-all"
            )
        result.entry("domain", domain).add("gatepostCatchAll", *forwards)
        result.became(table, number, name, f"gatepostCatchAll of {domain}: {' '.join(forwards) or 'nobody'}")
        return
    address = f"{name}@{domain}"
    if not user.mailbox:
        entry = result.entry("alias", address)
        entry.put("gatepostAddress", address)
        entry.add("gatepostForward", *forwards)
        _limits(result, table, number, name, user, entry)
        if user.password and user.password != "*":
            result.lost(table, number, name, "the password of an alias: nobody logs in as one")
        result.became(table, number, name, f"an alias for {' '.join(forwards) or 'nobody'}")
        return
    entry = result.entry("person", f"{name}@{domain}")
    entry.put("mail", address)
    entry.put("gatepostAddress", address)
    if user.personal:
        entry.put("cn", user.personal)
        entry.put("sn", user.personal.rpartition(" ")[2] or user.personal)
    if user.password and user.password != "*":
        entry.put("userPassword", f"{{CRYPT}}{user.password}")
    else:
        entry.put("gatepostStatus", "noaccess")
    entry.add("gatepostForward", *forwards)
    if forwards:
        entry.put("gatepostKeepCopy", "TRUE" if user.enabled else "FALSE")
    elif not user.enabled:
        result.lost(
            table, number, name, "its mailbox is switched off and it has no forwards: mail would be thrown away"
        )
    _limits(result, table, number, name, user, entry)
    result.became(table, number, name, f"the person {address}; the mail in {user.mailbox} is moved apart from this")
    _autoresponse(result, folder / user.mailbox, entry)


def _limits(result: Result, table: Path, number: int, name: str, user: VirtualUser, entry: Entry) -> None:
    if entry.kind == "person":
        for attribute, value in (
            ("gatepostQuota", user.hard), ("gatepostQuotaSoft", user.soft), ("gatepostQuotaMessages", user.count),
        ):  # fmt: skip
            if value is not None:
                entry.put(attribute, str(value))
    elif any(value is not None for value in (user.hard, user.soft, user.count)):
        result.lost(table, number, name, "the quota of an alias: it has no mailbox")
    if user.size is not None:
        entry.put("gatepostMaxMessageSize", str(user.size))
    if user.expiry is not None:
        entry.put("gatepostExpires", time.strftime("%Y%m%d%H%M%SZ", time.gmtime(user.expiry)))


def _autoresponse(result: Result, mailbox: Path, entry: Entry) -> None:
    """An automatic answer becomes the vacation text; its header is read for the subject."""
    for name in AUTORESPONSE:
        path = mailbox / name
        if not path.is_file():
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        head, _, body = text.partition("\n\n")
        subject = [line[8:].strip() for line in head.splitlines() if line.lower().startswith("subject:")]
        is_message = bool(subject) or head.lower().startswith(("from:", "to:"))
        entry.put("gatepostVacation", "TRUE")
        entry.put("gatepostVacationText", (body if is_message else text).strip())
        if subject:
            entry.put("gatepostVacationSubject", subject[0])
        result.became(path, 0, "(the text)", f"gatepostVacation of {entry.name}; once for each sender in its period")
        return
