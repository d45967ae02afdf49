"""The envelope of a message (RFC 5321 2.3.1) and what each recipient was promised."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

NULL_PATH = ""  # `<>`, the return path of bounces (RFC 5321 4.5.5)


@dataclass(slots=True)
class EnvelopeRecipient:
    """One accepted RCPT. `address` is as given by the client, `route` what the router decided."""

    address: str
    route: Any = None
    parameters: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Envelope:
    """Return path, recipients and MAIL parameters of one message."""

    return_path: str
    parameters: dict[str, str] = field(default_factory=dict)
    recipients: list[EnvelopeRecipient] = field(default_factory=list)
