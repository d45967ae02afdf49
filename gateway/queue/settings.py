"""How long and how often undelivered mail is tried (configuration section `queue`). Times in seconds."""

from __future__ import annotations

import msgspec

from directory.model.units import Count, Seconds, Size


class QueueSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Configuration section `queue`."""

    #: more waiting messages than this and the next one is answered 452
    max_messages: Count = 100_000
    #: less free room than this (octets) on the queue's disk and the next message is answered 452
    min_free_bytes: Size = 64 * 1024 * 1024
    #: how long a full mailbox is answered "try again later" before it is final
    quota_grace: Seconds = 3 * 86400.0
    #: pause behind the first attempt
    retry_first: Seconds = 300.0
    #: each pause is so many times as long as the one before
    retry_factor: float = 1.5
    #: longest pause
    retry_max: Seconds = 4000.0
    #: what is not delivered after so long is told to the sender, once; 0 = never
    delay_warning: Seconds = 4 * 3600.0
    #: what could not be delivered for so long is given up, and the sender told
    lifetime: Seconds = 5 * 86400.0
    #: messages worked on at once
    concurrency: Count = 20
