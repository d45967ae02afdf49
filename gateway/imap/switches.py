"""Extensions that are switched off for some: for users, groups, or mail programs that break on them.

What is switched off is not announced, and its commands and parameters are refused as if they had never been known. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from fnmatch import fnmatchcase
from functools import lru_cache

from gateway.imap.settings import Without

#: what can be switched off: its commands, and what else goes with it
_COMMANDS: dict[str, tuple[bytes, ...]] = {
    "ACL": (b"SETACL", b"DELETEACL", b"GETACL", b"LISTRIGHTS", b"MYRIGHTS"),
    "COMPRESS": (b"COMPRESS",),
    "CONDSTORE": (),
    "ENABLE": (b"ENABLE",),
    "ESEARCH": (),
    "IDLE": (b"IDLE",),
    "IMAP4rev2": (),
    "LIST-METADATA": (),
    "LIST-MYRIGHTS": (),
    "LIST-STATUS": (),
    "METADATA": (b"GETMETADATA", b"SETMETADATA"),
    "MOVE": (b"MOVE", b"UID MOVE"),
    "NAMESPACE": (b"NAMESPACE",),
    "NOTIFY": (b"NOTIFY",),
    "QRESYNC": (),
    "QUOTA": (b"GETQUOTA", b"GETQUOTAROOT", b"SETQUOTA"),
    "REPLACE": (b"REPLACE", b"UID REPLACE"),
    "SORT": (b"SORT", b"UID SORT"),
    "THREAD": (b"THREAD", b"UID THREAD"),
    "UIDBATCHES": (b"UIDBATCHES",),
    "UIDONLY": (),
    "UIDPLUS": (b"UID EXPUNGE",),
    "UNAUTHENTICATE": (b"UNAUTHENTICATE",),
    "UNSELECT": (b"UNSELECT",),
    "UTF8": (),
}
_WITH: dict[str, tuple[str, ...]] = {
    "ACL": ("RIGHTS", "LIST-MYRIGHTS"),
    "CONDSTORE": ("QRESYNC",),
    "ENABLE": ("IMAP4rev2", "QRESYNC", "UIDONLY", "UTF8"),
    "ESEARCH": ("SEARCHRES", "PARTIAL", "ESORT"),
    "METADATA": ("LIST-METADATA",),
    "SORT": ("ESORT",),
}
SWITCHABLE = tuple(_COMMANDS)
MAX_CLIENT = 200  # characters of a client's name that are looked at


def known(capability: str) -> str | None:
    """The name of something that can be switched off; None for anything else. `COMPRESS=DEFLATE` is `COMPRESS`."""
    wanted = capability.partition("=")[0].casefold()
    return next((name for name in SWITCHABLE if name.casefold() == wanted), None)


def withheld(rules: Sequence[Without], names: Collection[str], groups: Collection[str], client: str) -> frozenset[str]:
    """What is switched off for somebody with these logins, addresses and ids, in these groups (distinguished names as
    the directory compares them), with a program that calls itself `client`."""
    found: set[str] = set()
    for rule in rules:
        if (
            (not rule.users or any(user.casefold() in names for user in rule.users))
            and (not rule.groups or not groups_of(rule).isdisjoint(groups))
            and (not rule.clients or any(_fits(pattern, client) for pattern in rule.clients))
        ):
            for capability in rule.capabilities:
                if (name := known(capability)) is not None:
                    found.update((name, *_WITH.get(name, ())))
    return frozenset(found)


def groups_of(rule: Without) -> frozenset[str]:
    """The groups of a rule as the directory compares them."""
    return frozenset(map(_same, rule.groups))


@lru_cache(1024)
def _same(dn: str) -> str:
    return re.sub(r"\s*([,=+])\s*", r"\1", dn.strip()).casefold()


def group_name(dn: str) -> str:
    """A distinguished name of the directory as `withheld` compares it."""
    return _same(dn)


def _fits(pattern: str, client: str) -> bool:
    return bool(client) and fnmatchcase(client[:MAX_CLIENT].casefold(), pattern.casefold())


def is_announced(capability: str, without: Collection[str]) -> bool:
    """False for what is switched off, with everything behind `=`."""
    return capability not in without and capability.partition("=")[0] not in without


@lru_cache(256)
def unknown_commands(without: frozenset[str]) -> frozenset[bytes]:
    """Commands that are as if they did not exist."""
    return frozenset(command for name in without for command in _COMMANDS.get(name, ()))
