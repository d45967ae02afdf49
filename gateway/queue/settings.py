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
    #: deliveries into stores at once
    concurrency_local: Count = 10
    #: connections to other hosts at once
    concurrency_remote: Count = 20
    #: messages taken up at once; more than this wait in queue.db
    active_max: Count = 500
    #: connections to a destination that is new; one more with each success, up to destination_max
    destination_begin: Count = 5
    #: most connections to one destination
    destination_max: Count = 20
    #: pause for messages to a destination that has enough of them waiting
    destination_pause: Seconds = 15.0
    #: how long a destination that could not be reached is left alone; doubles each time, up to retry_max
    dead_first: Seconds = 60.0
