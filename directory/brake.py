"""The deletion brake: decides whether so many entries may vanish at once.

A slip in an access rule reads as "everybody was deleted", with result success. Removals of ten minutes
are therefore judged together; beyond `max(20, 2 %)` of the accounts, lists or domains, or when nothing
of a kind would be left, nothing is removed until an administrator or the entries' return says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from directory.model.selftest import is_selftest

WINDOW_SECONDS = 600.0
FLOOR = 20
SHARE = 0.02
LAST_ONES = 3  #: so many entries or more may not all vanish, however small the company

#: kind of a profile -> what the brake counts it as
CATEGORY = {
    "account": "accounts",
    "shared": "shared mailboxes",
    "service": "service accounts",
    "list": "lists",
    "alias": "lists",
    "group": "lists",
    "domain": "domains",
}
_HELP = (
    "kept as it was; look at access rights, directory.base and the server, "
    "or agree with `gatepost directory accept-deletions`"
)


def is_counted(dn: str) -> bool:
    """False for entries of the self-test, which come and go, often many in ten minutes."""
    return not is_selftest(dn.partition(",")[0])


def allowed(total: int) -> int:
    """How many of `total` entries of one category may go within ten minutes."""
    return max(FLOOR, int(total * SHARE))


def judge(losses: Mapping[str, int], earlier: Mapping[str, int], now_there: Mapping[str, int]) -> str:
    """ "" when the entries may go, else why not, in an operator's words.

    `losses`: about to go; `earlier`: gone within the window; `now_there`: still in the copy, losses included.
    """
    for category in sorted(set(CATEGORY.values())):
        losing, before, there = losses.get(category, 0), earlier.get(category, 0), now_there.get(category, 0)
        if not losing:
            continue
        total = there + before
        if losing + before > allowed(total):
            return f"the directory would lose {losing + before} of {total} {category} within ten minutes: {_HELP}"
        if losing == there and total >= LAST_ONES:
            return f"the directory shows none of its {total} {category} any more: {_HELP}"
    return ""


def orphaned(domain: str, addresses: int) -> str:
    """Why a domain may not go while entries that stay have addresses in it."""
    return f"the domain {domain} vanished though {addresses} addresses are in it: {_HELP}"


def empty_copy(now_there: Mapping[str, int], has_static_domains: bool) -> str:
    """Why absence from such a copy proves nothing; "" for a copy that looks like a company."""
    missing = [name for name in ("accounts", "domains") if not now_there.get(name)]
    if has_static_domains and "domains" in missing:
        missing.remove("domains")
    if not missing:
        return ""
    return (
        f"the directory shows no {' and no '.join(missing)}: look at directory.base, directory.profile, directory.domains and the access "
        "rights of directory.bind, or agree with `gatepost directory accept-deletions`"
    )


def count(kinds: Iterable[str | None]) -> Counter[str]:
    """Entries by category."""
    return Counter(CATEGORY[kind] for kind in kinds if kind in CATEGORY)
