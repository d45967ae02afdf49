"""What programs send: the forms of bodies and queries. Their words are the document's words."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
MAX_VALUES = 10_000


class Change(msgspec.Struct, forbid_unknown_fields=True):
    """One attribute of an entry: `set` replaces all its values (none = remove it), `add` and `remove` are for those with several."""

    field: Text
    operation: Literal["set", "add", "remove"] = "set"
    values: Annotated[tuple[str, ...], msgspec.Meta(max_length=MAX_VALUES)] = ()


Changes = Annotated[tuple[Change, ...], msgspec.Meta(max_length=100)]
Names = Annotated[tuple[Text, ...], msgspec.Meta(max_length=MAX_VALUES)]


class ChangeEntry(msgspec.Struct, forbid_unknown_fields=True):
    """Changes; with `version` (as `GET` told it) only of the entry as it was then. `rehearse`: check it and do nothing;
    the number in the answer is -1 where something would change."""

    changes: Annotated[tuple[Change, ...], msgspec.Meta(min_length=1, max_length=100)]
    version: Annotated[str, msgspec.Meta(max_length=200)] = ""
    rehearse: bool = False


class NewUser(msgspec.Struct, forbid_unknown_fields=True):
    """A person. Without addresses the login in the only domain; without a password nobody signs in yet. `rehearse`: check
    it and do nothing."""

    login: Text
    name: Text
    addresses: Names = ()
    password: Annotated[str, msgspec.Meta(max_length=1024)] = ""
    changes: Changes = ()
    rehearse: bool = False

    def __repr__(self) -> str:
        return f"NewUser({self.login!r})"


class NewPassword(msgspec.Struct, forbid_unknown_fields=True):
    """A new password."""

    password: Annotated[str, msgspec.Meta(min_length=1, max_length=1024)]

    def __repr__(self) -> str:
        return "NewPassword()"


class NewAlias(msgspec.Struct, forbid_unknown_fields=True):
    """An alias; targets are logins, addresses or distinguished names. One that is there gets more targets."""

    address: Text
    targets: Annotated[tuple[Text, ...], msgspec.Meta(min_length=1, max_length=MAX_VALUES)]


class Targets(msgspec.Struct, forbid_unknown_fields=True):
    """Targets of an alias."""

    targets: Annotated[tuple[Text, ...], msgspec.Meta(min_length=1, max_length=MAX_VALUES)]


class NewList(msgspec.Struct, forbid_unknown_fields=True):
    """A mailing list; members are logins, addresses or distinguished names."""

    address: Text
    name: Annotated[str, msgspec.Meta(max_length=500)] = ""
    members: Names = ()
    changes: Changes = ()


class Members(msgspec.Struct, forbid_unknown_fields=True):
    """Members to take into a list, or out of it."""

    operation: Literal["add", "remove"]
    members: Annotated[tuple[Text, ...], msgspec.Meta(min_length=1, max_length=MAX_VALUES)]


class NewShared(msgspec.Struct, forbid_unknown_fields=True):
    """A mailbox that several people work on."""

    address: Text
    name: Annotated[str, msgspec.Meta(max_length=500)] = ""
    changes: Changes = ()


class NewDomain(msgspec.Struct, forbid_unknown_fields=True):
    """A mail domain."""

    name: Text
    changes: Changes = ()


class Decision(msgspec.Struct, forbid_unknown_fields=True):
    """What becomes of a post that waits."""

    decision: Literal["approve", "reject"]


class Search(msgspec.Struct, forbid_unknown_fields=True):
    """Words that all occur in name, login or addresses; which part of what is found."""

    text: Annotated[str, msgspec.Meta(max_length=200)] = ""
    domain: Annotated[str, msgspec.Meta(max_length=255)] = ""
    status: Literal["", "active", "noaccess", "suspended", "closed"] = ""
    start: Annotated[int, msgspec.Meta(ge=0, le=10_000_000)] = 0
    limit: Annotated[int, msgspec.Meta(ge=1, le=200)] = 50


class MemberSearch(msgspec.Struct, forbid_unknown_fields=True):
    """Words that all occur in name or address; which part of what is found."""

    text: Annotated[str, msgspec.Meta(max_length=200)] = ""
    start: Annotated[int, msgspec.Meta(ge=0, le=10_000_000)] = 0
    limit: Annotated[int, msgspec.Meta(ge=1, le=200)] = 50


class QuotaSearch(msgspec.Struct, forbid_unknown_fields=True):
    """As `Search`; `order`: the biggest first (`used`), or the fullest (`share`)."""

    text: Annotated[str, msgspec.Meta(max_length=200)] = ""
    domain: Annotated[str, msgspec.Meta(max_length=255)] = ""
    order: Literal["used", "share"] = "used"
    start: Annotated[int, msgspec.Meta(ge=0, le=10_000_000)] = 0
    limit: Annotated[int, msgspec.Meta(ge=1, le=200)] = 50


class Latest(msgspec.Struct, forbid_unknown_fields=True):
    """How many, newest first; those of one person when `login` is given."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 50
    login: Annotated[str, msgspec.Meta(max_length=500)] = ""


class QueueSearch(msgspec.Struct, forbid_unknown_fields=True):
    """Parts of addresses, the domain of either, the state of a recipient; messages behind the one of id `after`."""

    sender: Annotated[str, msgspec.Meta(max_length=300)] = ""
    recipient: Annotated[str, msgspec.Meta(max_length=300)] = ""
    domain: Annotated[str, msgspec.Meta(max_length=255)] = ""
    state: Literal["", "new", "later", "trying", "deferred", "held", "failed"] = ""
    after: Annotated[str, msgspec.Meta(max_length=100)] = ""
    limit: Annotated[int, msgspec.Meta(ge=1, le=100)] = 50


class QueueChange(msgspec.Struct, forbid_unknown_fields=True):
    """What is to be done with a message that waits."""

    what: Literal["hold", "release", "retry"]


class TraceSearch(msgspec.Struct, forbid_unknown_fields=True):
    """An address, a part of one, a Message-ID or an id; how far back, in days."""

    text: Annotated[str, msgspec.Meta(min_length=3, max_length=300)]
    days: Annotated[int, msgspec.Meta(ge=1, le=366)] = 7
    limit: Annotated[int, msgspec.Meta(ge=1, le=100)] = 50


class AddressQuestion(msgspec.Struct, forbid_unknown_fields=True):
    """From whom the message would be ("" = `<>`); as submission answers the person of that login."""

    sender: Annotated[str, msgspec.Meta(max_length=320)] = "postmaster@sender.invalid"
    login: Annotated[str, msgspec.Meta(max_length=320)] = ""


class LoginQuestion(msgspec.Struct, forbid_unknown_fields=True):
    """At which service, and from which IP address."""

    service: Literal["imap", "pop3", "submission", "webmail", "sieve", "selfservice"] = "imap"
    address: Annotated[str, msgspec.Meta(max_length=100)] = ""


class Overview(msgspec.Struct, forbid_unknown_fields=True):
    """How far back the history goes."""

    span: Literal["day", "week", "month"] = "day"
