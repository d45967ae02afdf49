"""Whether the author's domain demands that nobody else sends in its name (DMARC, RFC 7489 6.3): the records, read."""

from __future__ import annotations

from collections.abc import Iterator

MAX_LABELS = 8  # names asked for one author, longest first


def names(domain: str) -> Iterator[str]:
    """Where a policy for `domain` may stand: at itself, then at the domains above it, the top one not included."""
    labels = domain.lower().strip(".").split(".")[-MAX_LABELS:]
    for start in range(max(1, len(labels) - 1)):
        yield "_dmarc." + ".".join(labels[start:])


def demands(record: bytes, *, is_own: bool) -> bool | None:
    """True for a policy of quarantine or reject, None for text that is no DMARC record; `is_own`: of the author's very
    domain, not of one above it (`sp` counts there)."""
    tags: dict[bytes, bytes] = {}
    for number, part in enumerate(record.split(b";")):
        name, separator, value = part.partition(b"=")
        key, text = name.strip().lower(), value.strip().lower()
        if number == 0 and (key, value.strip()) != (b"v", b"DMARC1"):
            return None
        if separator:
            tags.setdefault(key, text)
    policy = tags.get(b"p", b"none")
    if not is_own:
        policy = tags.get(b"sp", policy)
    return policy in (b"quarantine", b"reject")


def is_aligned(author: str, mailing_list: str) -> bool:
    """True when the list sends in the author's own house: one domain is the other, or lies in it."""
    one, other = author.lower(), mailing_list.lower()
    return one == other or one.endswith(f".{other}") or other.endswith(f".{one}")
