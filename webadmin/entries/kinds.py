"""The kinds of entries that are administered here: what they are called, and what a new one needs first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from directory.model import Account, Alias, Domain, Entry, MailingList, SharedMailbox
from webadmin.entries.form import Sent
from webadmin.entries.labels import N_


@dataclass(frozen=True, slots=True)
class First:
    """An input that only a new entry has."""

    name: str
    label: str
    help: str = ""
    #: line, lines
    kind: str = "line"
    required: bool = False
    picks: bool = False


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind."""

    #: as the verbs name it
    name: str
    cls: type[Entry]
    #: the verb that makes one
    add: str
    #: headings
    many: str
    new: str
    #: what is asked first of a new entry, and the verb's arguments for it
    first: tuple[First, ...]
    #: fields of the model that `first` stands for
    covers: frozenset[str]
    #: how the arguments of `add` follow from what was filled in
    arguments: Callable[[Sent], dict[str, Any]]
    #: what the confirmation of a deletion warns of
    warning: str
    #: titles of a table's columns, and what of an entry stands there
    columns: tuple[tuple[str, str], ...] = field(
        default=((N_("Name"), "title"), (N_("Address"), "addresses"), (N_("Status"), "status"))
    )


def one(form: Sent, name: str) -> str:
    """What was written in a line."""
    return next((text.strip() for text in form.getlist(f"n.{name}")), "")


def lines(form: Sent, name: str) -> list[str]:
    """The lines of a box, without empty ones."""
    return [line.strip() for text in form.getlist(f"n.{name}") for line in text.splitlines() if line.strip()]


USER = Kind(
    "user",
    Account,
    "add-user",
    N_("People"),
    N_("New person"),
    (
        First("name", N_("Name"), N_("As people read it, such as Jane Doe"), required=True),
        First("login", N_("Login"), N_("1 to 64 letters, digits, and . _ - + @ after the first"), required=True),
        First(
            "addresses",
            N_("Addresses"),
            N_("One a line, the primary one first; nothing = the login at the only domain"),
            kind="lines",
        ),
    ),
    frozenset({"display_name", "logins", "mail", "primary_address", "addresses"}),
    lambda form: {"login": one(form, "login"), "name": one(form, "name"), "addresses": lines(form, "addresses")},
    N_("The person can no longer sign in, and mail to the addresses is refused. The mailbox files stay on disk; a new entry of the same name does not get them."),
    ((N_("Name"), "title"), (N_("Login"), "logins"), (N_("Address"), "addresses"), (N_("Status"), "status")),
)  # fmt: skip
ALIAS = Kind(
    "alias",
    Alias,
    "add-alias",
    N_("Aliases"),
    N_("New alias"),
    (
        First("address", N_("Address"), required=True),
        First("targets", N_("Stands for"), N_("Logins or addresses, one a line"), kind="lines", required=True, picks=True),
    ),
    frozenset({"mail", "primary_address", "addresses", "targets", "forwards"}),
    lambda form: {"address": one(form, "address"), "targets": lines(form, "targets")},
    N_("Mail to its addresses is refused from then on."),
)  # fmt: skip
LIST = Kind(
    "list",
    MailingList,
    "add-list",
    N_("Mailing lists"),
    N_("New mailing list"),
    (
        First("address", N_("Address"), required=True),
        First("name", N_("Name"), N_("As people read it")),
        First("members", N_("Members"), N_("Logins or addresses, one a line"), kind="lines", picks=True),
    ),
    frozenset({"mail", "primary_address", "addresses", "display_name"}),
    lambda form: {
        "address": one(form, "address"),
        "name": one(form, "name"),
        "members": lines(form, "members"),
    },
    N_("Mail to the list is refused from then on. Its members keep what they got."),
)
SHARED = Kind(
    "shared",
    SharedMailbox,
    "add-shared",
    N_("Shared mailboxes"),
    N_("New shared mailbox"),
    (First("address", N_("Address"), required=True), First("name", N_("Name"), N_("As people read it"))),
    frozenset({"mail", "primary_address", "addresses", "display_name"}),
    lambda form: {"address": one(form, "address"), "name": one(form, "name")},
    N_("Mail to its addresses is refused from then on. The mailbox files stay on disk."),
)
DOMAIN = Kind(
    "domain",
    Domain,
    "add-domain",
    N_("Domains"),
    N_("New domain"),
    (First("name", N_("Domain"), N_("Such as example.com"), required=True),),
    frozenset({"name"}),
    lambda form: {"name": one(form, "name")},
    N_("No mail is taken for it any more. A domain with addresses in it is not deleted: move or delete them first."),
    ((N_("Domain"), "title"), (N_("Status"), "status")),
)
