"""What is counted. A process counts in memory; `service/` adds up the processes and shows the sums.

Counting costs a dictionary look-up. Names and labels are part of the interface (docs/reference/metrics.md):
they are only ever added to. No label takes values from clients: their number must stay small.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Counter:
    """Something that only grows; Prometheus sees it as `gatepost_<name>_total`."""

    name: str
    help: str
    labels: tuple[str, ...] = ()


#: every counter by name
COUNTERS: dict[str, Counter] = {}
#: what this process has counted: name and label values
counted: dict[tuple[str, ...], int] = {}
_lock = threading.Lock()


def counter(name: str, text: str, *labels: str) -> Counter:
    """Declare a counter."""
    made = COUNTERS[name] = Counter(name, text, labels)
    return made


def count(what: Counter, *values: str, number: int = 1) -> None:
    """Count, with a value for each label."""
    key = (what.name, *values)
    with _lock:  # the file pool's threads count too
        counted[key] = counted.get(key, 0) + number


ACCEPTED = counter("messages_accepted", "Messages for which responsibility was taken", "service")
ACCEPTED_OCTETS = counter("accepted_octets", "Octets of accepted messages", "service")
DELIVERED = counter("deliveries", "Messages put into stores, one for each recipient")
QUEUED = counter("messages_queued", "Messages put into the queue")
ATTEMPTED = counter("attempts", "Attempts at targets of queued messages by what came of them", "state")
OUTGOING = counter("outgoing_connections", "Connections to other hosts by kind of hop and protection", "kind", "tls")
ANSWERED = counter("recipients_not_taken", "Recipients deferred or refused in the session", "answer", "condition")
CONNECTIONS = counter("connections", "Connections that were admitted", "service")
NOT_ADMITTED = counter("connections_not_admitted", "Connections that were turned away", "service", "condition")
CUT = counter("sessions_cut", "Sessions that this host ended, by reason", "service", "reason")
LATE = counter("file_calls_late", "File calls that a volume did not answer in time", "volume")
DOWN = counter("volume_downs", "Times a volume stopped answering", "volume")
UP = counter("volume_ups", "Times a volume answered again", "volume")
SENDING_STOPS = counter("sending_stops", "Accounts that were stopped from sending, by the sign that was seen", "sign")
SEARCH_INDEXED = counter("search_indexed", "Messages whose text was put into the search files")
SEARCHES = counter("text_searches", "Searches of texts, by what answered for most messages", "by")
LOGINS = counter("logins", "Logins by service and outcome", "service", "outcome")
BUGS = counter("bugs", "Unexpected errors, each with a traceback in the log")
