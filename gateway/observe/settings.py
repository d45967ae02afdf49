"""How long events of messages are kept for `gatepost trace` (configuration section `trace`)."""

from __future__ import annotations

import msgspec

from directory.model.units import Seconds, Size


class TraceSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Configuration section `trace`."""

    #: how long the events of a message can be found; 0 = nothing is kept
    keep: Seconds = 30 * 86400.0
    #: octets of events that one process writes in a day; what is more is left out
    max_size: Size = 1024 * 1024 * 1024
