"""What a message that came to `-bounces` says: who did not get his copy, and whether for good (RFC 3464, 6522).

Anybody may send anything there, so it is read within limits and believed only as far as a member can be found.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from email import message_from_bytes
from email.message import Message

MAX_READ = 512 * 1024  # octets of a report that are looked at; the original message stands at its end
MAX_RECIPIENTS = 100
HARD, SOFT = 1.0, 0.5
_STATUS = re.compile(r"\b([245])\.\d{1,3}\.\d{1,3}\b")


@dataclass(frozen=True, slots=True)
class Failure:
    """`addresses` by which the report names the recipient, `weight` how much it counts, `why` in the peer's words."""

    addresses: tuple[str, ...]
    weight: float
    why: str


def failures(content: bytes) -> tuple[Failure, ...] | None:
    """The failed recipients of a delivery report, none for one that says delayed or delivered; None = no report."""
    message = message_from_bytes(content[:MAX_READ])
    found: list[Failure] = []
    is_report = False
    for part in message.walk():
        if part.get_content_type() not in ("message/delivery-status", "message/global-delivery-status"):
            continue
        is_report = True
        blocks = part.get_payload()
        for block in blocks[: MAX_RECIPIENTS + 1] if isinstance(blocks, list) else ():
            failure = _failure(block) if isinstance(block, Message) else None
            if failure is not None:
                found.append(failure)
    return tuple(found[:MAX_RECIPIENTS]) if is_report else None


def _failure(block: Message) -> Failure | None:
    if str(block.get("Action", "")).strip().lower() != "failed":
        return None
    addresses = []
    for name in ("Original-Recipient", "Final-Recipient"):
        value = str(block.get(name, ""))
        address = value.rpartition(";")[2].strip().strip("<>").lower()
        if "@" in address and address not in addresses:
            addresses.append(address)
    status = _STATUS.search(str(block.get("Status", "")))
    # 4.x.x or x.4.7 behind "failed": tried until it expired (RFC 3463 3.5); x.2.2: a mailbox that is full
    is_soft = status is not None and (status[1] == "4" or status[0][2:] in ("4.7", "2.2"))
    weight = SOFT if is_soft else HARD
    why = " ".join(str(block.get("Diagnostic-Code", "") or block.get("Status", "")).split())
    return Failure(tuple(addresses), weight, "".join(c for c in why if c.isprintable())[:300])


def is_automatic(content: bytes) -> bool:
    """True for an answer of a program that is no report: somebody is away (RFC 3834 5)."""
    message = message_from_bytes(content[:MAX_READ])
    return str(message.get("Auto-Submitted", "no")).strip().lower().startswith("auto-replied")
