"""What a delivery program is told, and what its exit code means (qmail-command(8))."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from directory.model import Condition, Deferred, Refused

#: as qmail-local has it: usage, data, software, remote error in protocol, no permission, configuration, 100, 112
NEVER = frozenset({64, 65, 70, 76, 77, 78, 100, 112})
TAKEN, STOP, LATER = 0, 99, 111
MAX_TEXT = 200
MAX_VARIABLE = 2000


class Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line of JSON to the spawner, followed by `size` octets of message."""

    program: str
    environment: dict[str, str]
    size: int


class Ran(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Its answer, one line of JSON. `code` None: it did not end by itself, `trouble` says why."""

    code: int | None
    output: str = ""
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Delivery:
    """What the variables are made of; `extension` is the part behind the first separator, "" without one."""

    sender: str
    recipient: str
    user: str
    extension: str
    separators: str = "+"


def environment(delivery: Delivery) -> dict[str, str]:
    """qmail's variables. Nothing in them can end a line or a string."""
    local, _, host = delivery.recipient.rpartition("@")
    found = {
        "SENDER": delivery.sender,
        "NEWSENDER": delivery.sender,
        "RECIPIENT": delivery.recipient,
        "USER": delivery.user,
        "LOCAL": local,
        "HOST": host,
        "EXT": delivery.extension,
        "DEFAULT": delivery.extension,
        "DTLINE": f"Delivered-To: {delivery.recipient}",
        "RPLINE": f"Return-Path: <{delivery.sender}>",
        "HOME": "/",
        "PATH": "/usr/local/bin:/usr/bin:/bin",
    }
    rest = host
    for number in ("2", "3", "4"):
        rest = rest.rpartition(".")[0]
        found[f"HOST{number}"] = rest
    rest = delivery.extension
    for number in ("2", "3", "4"):
        cut = [place for place in (rest.find(each) for each in delivery.separators) if place >= 0]
        rest = rest[min(cut) + 1 :] if cut else ""
        found[f"EXT{number}"] = rest
    clean = {name: "".join(c for c in value if c.isprintable())[:MAX_VARIABLE] for name, value in found.items()}
    return {**clean, "DTLINE": clean["DTLINE"] + "\n", "RPLINE": clean["RPLINE"] + "\n"}


def meaning(name: str, ran: Ran) -> None:
    """Returns where the program took the message (0, 99). Raises Refused, Deferred."""
    if ran.code in (TAKEN, STOP):
        return
    said = " ".join(ran.output.split())
    text = "".join(c if " " <= c <= "~" else "?" for c in said)[:MAX_TEXT]
    how = f"exit code {ran.code}" if ran.code is not None else ran.trouble
    if ran.code in NEVER:
        raise Refused(Condition.REFUSED_BY_PROGRAM, f"program {name}: {how}: {text}", text)
    raise Deferred(Condition.PROGRAM_DEFERRED, f"program {name}: {how}{': ' if text else ''}{text}")
