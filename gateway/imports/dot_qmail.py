"""One .qmail file (dot-qmail(5)): what its lines order, in Gatepost's words."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from gateway.imports.result import Result

Qualify = Callable[[str], str]
_NAME = re.compile(r"[^A-Za-z0-9_.-]+")
_ADDRESS = re.compile(r"[A-Za-z0-9]")
#: programs of qmail that a rule does by itself
FORWARD, BOUNCE, REDIRECT, EXCEPT = "forward", "bouncesaying", "condredirect", "except"


@dataclass(slots=True)
class Orders:
    """What is done with a message. `conditional` are whole rules without their EXT."""

    deliver: bool = False
    forwards: list[str] = field(default_factory=list)
    programs: list[str] = field(default_factory=list)
    reject: str | None = None
    conditional: list[str] = field(default_factory=list)

    @property
    def only_forwards(self) -> bool:
        return bool(self.forwards) and not (self.deliver or self.programs or self.conditional) and self.reject is None

    @property
    def is_plain(self) -> bool:
        """Only the mailbox and forwards."""
        return not (self.programs or self.conditional) and self.reject is None

    def rules(self, extension: str) -> list[str]:
        """As values of gatepostExtension."""
        found = [f"{extension} {each}" for each in self.conditional]
        if self.reject is not None:
            return [*found, f"{extension} reject {self.reject}".rstrip()]
        found += [f"{extension} program {name}" for name in self.programs]
        if self.forwards:
            found.append(f"{extension} forward {' '.join(self.forwards)}")
        if self.deliver:
            found.append(f"{extension} deliver")
        return found


def program_named(result: Result, command: str) -> str:
    """The name under which `command` stands in the configuration; /bin/sh runs it, as qmail does."""
    words = command.split()
    stem = _NAME.sub("-", words[0].rpartition("/")[2] if words else "program").strip("-.") or "program"
    programs = result.configuration.setdefault("programs", {})
    wanted = {"argv": ["/bin/sh", "-c", command]}
    for number in range(1, 10_000):
        name = stem if number == 1 else f"{stem}-{number}"
        if programs.setdefault(name, wanted) == wanted:
            return name
    raise ValueError("too many programs")


def read(path: Path, qualify: Qualify, result: Result) -> Orders:
    """What the file orders; every line is explained. An empty file means default delivery. Raises OSError."""
    orders = Orders()
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    orders.deliver = not any(line.strip() for line in lines)
    if orders.deliver:
        result.became(path, 0, "(empty)", "default delivery: the mailbox")
    for number, line in enumerate(lines, 1):
        text = line.rstrip()
        if not text:
            continue
        if text.startswith("#"):
            result.became(path, number, text, "a comment, left out")
        elif text.startswith("|"):
            _program(orders, text[1:].strip(), path, number, text, qualify, result)
        elif text.startswith((".", "/")):
            _mailbox(orders, path, number, text, result)
        elif text.startswith("+"):
            result.lost(path, number, text, "qmail has no +list in .qmail files; use a mailing list")
        elif text.startswith("&") or _ADDRESS.match(text):
            address = qualify(text.removeprefix("&").strip().strip("<>"))
            orders.forwards.append(address)
            result.became(path, number, text, f"forward to {address}")
        else:
            result.lost(path, number, text, "not a line that qmail knows; it would put off the message")
    return orders


def _mailbox(orders: Orders, path: Path, number: int, text: str, result: Result) -> None:
    orders.deliver = True
    if text in ("./Maildir/", "./Maildir"):
        result.became(path, number, text, "delivery into the mailbox")
    elif text.endswith("/"):
        result.became(path, number, text, f"delivery into the mailbox; move what is in {text} with the mail")
    else:
        result.became(
            path, number, text, f"delivery into the mailbox (a Maildir); the mbox file {text} stays where it is"
        )


def _program(
    orders: Orders, command: str, path: Path, number: int, text: str, qualify: Qualify, result: Result
) -> None:
    try:
        words = shlex.split(command)
    except ValueError:
        words = []
    tool = words[0].rpartition("/")[2] if words else ""
    if tool == FORWARD and len(words) > 1 and not any("$" in word for word in words):
        addresses = [qualify(word) for word in words[1:]]
        orders.forwards += addresses
        result.became(path, number, text, f"forward to {' '.join(addresses)}")
    elif tool == BOUNCE and len(words) == 2:
        orders.reject = _said(words[1])
        result.became(path, number, text, "refused in the session, with this text")
    elif tool == BOUNCE and len(words) > 2:
        name = program_named(result, shlex.join(words[2:]))
        orders.conditional.append(f"if program {name} reject {_said(words[1])}".rstrip())
        result.became(path, number, text, f"refused if the program {name} says so")
    elif tool == REDIRECT and len(words) > 2:
        name, address = program_named(result, shlex.join(words[2:])), qualify(words[1])
        orders.conditional.append(f"if program {name} forward {address}")
        result.became(path, number, text, f"forward to {address} if the program {name} says so, and nothing else then")
    elif tool == EXCEPT and len(words) > 1:
        name = program_named(result, shlex.join(words[1:]))
        orders.conditional.append(f"if program {name} discard")
        result.became(path, number, text, f"nothing is done if the program {name} says so")
    else:
        name = program_named(result, command)
        orders.programs.append(name)
        result.became(path, number, text, f"program {name}")


def _said(text: str) -> str:
    return "".join(c if " " <= c <= "~" else "?" for c in text)[:200].strip()
