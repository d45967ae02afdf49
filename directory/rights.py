"""Who may change what in the directory: rights come from groups and from what entries say of their owners.

| who | may |
|---|---|
| the operator (root and the service's own user on this host), members of `directory.rights.administrators` | everything |
| who is named by a domain's `gatepostDomainAdmin` | accounts, aliases, lists and shared mailboxes whose every address lies in that domain, but not where mail is stored or as whom one may send; the domain's catch-all |
| members of `directory.rights.helpdesk` | passwords, "must change" and `active`/`noaccess` of ordinary people; sees on its way all mail, without its contents |
| the owner of a list or alias | its members or targets and who may send there |
| everybody | his own forwards, vacation, telephone numbers and the like (`write=SELF` in the model), photo and password |

Nobody touches the entry of somebody who may do more than he: only administrators touch administrators, the help desk and
who administers further domains. Nobody changes his own status.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from dataclasses import dataclass, field

import msgspec

from directory.model import (
    SELF,
    Account,
    Alias,
    Domain,
    Entry,
    MailingList,
    Recipient,
    ServiceAccount,
    SharedMailbox,
)
from directory.port import Directory, groups_of, is_one_of
from directory.raw import canonical_dn

READS_ONLY = "this token is for reading only"
PASSWORD, PHOTO = "password", "photo"  # stand among field names
_STORAGE = frozenset({"mail_host", "store", "maildir", "delivery", "sieve", "send_as", "relay_hosts"})
_HELPDESK = frozenset({PASSWORD, "must_change_password", "status"})
_LIST_OWNER = frozenset({
    "members", "unique_members", "member_addresses", "member_exclude", "exclude_addresses",
    "moderators", "moderator_addresses", "accept_from", "reject_from", "display_name", "subject_tag", "reply_to",
    "moderation", "subscription",
})  # fmt: skip
_ALIAS_OWNER = frozenset({"forwards", "targets", "accept_from", "reject_from", "display_name"})
_LDAP = {each.name: each.metadata["ldap"] for each in dataclasses.fields(Account) if "ldap" in each.metadata}
_SELF = frozenset({PASSWORD, PHOTO, *(name for name, facts in _LDAP.items() if facts.write == SELF)})
_OF_A_DOMAIN = Account | Alias | MailingList | SharedMailbox


class RightsSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Configuration section `directory.rights`: distinguished names of groups or people."""

    #: who may change everything
    administrators: tuple[str, ...] = ()
    #: who may set passwords and unlock people, not administrators
    helpdesk: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Actor:
    """Who wants something. `account` None is the operator; `password` is there when he typed it just now."""

    name: str
    account: Account | ServiceAccount | None = None
    password: str = field(default="", repr=False)
    #: by a token that is for looking only
    reads_only: bool = False


class Rights:
    """Answers from the local copy of the directory; a change of a group counts as soon as the copy has it."""

    def __init__(self, directory: Directory, settings: RightsSettings) -> None:
        self._directory, self._settings = directory, settings

    def is_administrator(self, actor: Actor) -> bool:
        """True for who may do everything."""
        return actor.account is None or is_one_of(self._directory, actor.account, self._settings.administrators)

    def _administers(self, account: Entry, addresses: Collection[str]) -> bool:
        """True when `account` administers the domain of each of the addresses, and there is one."""
        domains = {address.rpartition("@")[2].lower() for address in addresses}
        found = [self._directory.domain(name) for name in domains]
        return bool(found) and all(d is not None and is_one_of(self._directory, account, d.admins) for d in found)

    def domains_of(self, actor: Actor) -> list[Domain]:
        """The domains that `actor` administers as their administrator; all of them for who may do everything."""
        account = actor.account
        if account is None or self.is_administrator(actor):
            return list(self._directory.domains())
        return [domain for domain in self._directory.domains() if is_one_of(self._directory, account, domain.admins)]

    def roles(self, actor: Actor) -> tuple[str, ...]:
        """Of administrator, domain and helpdesk those he has; who owns lists is told by `looks_after`."""
        account = actor.account
        if self.is_administrator(actor):
            return ("administrator",)
        assert account is not None
        found = []
        if self.domains_of(actor):
            found.append("domain")
        if is_one_of(self._directory, account, self._settings.helpdesk):
            found.append("helpdesk")
        return tuple(found)

    def looks_after(self, actor: Actor, entry: Entry) -> bool:
        """True for who owns or moderates a list, or owns an alias."""
        account = actor.account
        if account is None:
            return True
        if isinstance(entry, MailingList):
            return self._owns(account, entry.owners, entry.owner_addresses) or self._owns(
                account, entry.moderators, entry.moderator_addresses
            )
        return isinstance(entry, Alias) and self._owns(account, entry.owners, ())

    def may_see(self, actor: Actor, entry: Entry) -> bool:
        """True when `actor` may look at all of an entry's mail attributes."""
        if self.is_administrator(actor):
            return True
        account = actor.account
        assert account is not None
        if entry.id == account.id or self.looks_after(actor, entry):
            return True
        if isinstance(entry, Domain):
            return is_one_of(self._directory, account, entry.admins)
        if isinstance(entry, _OF_A_DOMAIN) and self._administers(account, entry.addresses):
            return True
        return isinstance(entry, Account) and is_one_of(self._directory, account, self._settings.helpdesk)

    def mail_domains(self, actor: Actor, *, to_change: bool = False) -> frozenset[str] | None:
        """Names and aliases of the domains whose mail `actor` may look at on its way, or hold, drop and hurry; None = all
        mail. The help desk only looks."""
        if self.is_administrator(actor) or (not to_change and "helpdesk" in self.roles(actor)):
            return None
        return frozenset(name for domain in self.domains_of(actor) for name in (domain.name, *domain.aliases))

    def refusal(
        self,
        actor: Actor,
        entry: Entry | None,
        fields: Collection[str],
        *,
        kind: type[Entry],
        addresses: Collection[str],
    ) -> str:
        """ "" when `actor` may change these fields, else why not.

        `entry` is what is there (None for a new one), `addresses` all it has before and after.
        """
        if actor.reads_only:
            return READS_ONLY
        if self.is_administrator(actor):
            return ""
        account = actor.account
        assert account is not None
        wanted = set(fields)
        if entry is not None and entry.id == account.id:
            left = wanted - _SELF
            if left and not self._administers(account, addresses):
                return f"of your own entry you may change {', '.join(sorted(_SELF))}, not {', '.join(sorted(left))}"
            if left & {"status", "expires"}:
                return "nobody changes his own status"
            if not left:
                return ""
        elif entry is not None and self._is_protected(entry, account):
            return "only administrators may change the entry of somebody who administers others"
        if issubclass(kind, _OF_A_DOMAIN) and self._administers(account, addresses):
            left = wanted & _STORAGE
            return f"only administrators may change {', '.join(sorted(left))}" if left else ""
        if entry is None:
            return f"you administer no domain with {' '.join(sorted(addresses)) or 'this entry'}"
        allowed = self._of_others(account, entry)
        left = wanted - allowed
        if not left:
            return ""
        if not allowed:
            return "you have no right to change this entry"
        return f"you may change {', '.join(sorted(allowed))} here, not {', '.join(sorted(left))}"

    def _of_others(self, account: Entry, entry: Entry) -> frozenset[str]:
        if isinstance(entry, Domain):
            return frozenset({"catch_all"}) if is_one_of(self._directory, account, entry.admins) else frozenset()
        if isinstance(entry, MailingList) and self._owns(account, entry.owners, entry.owner_addresses):
            return _LIST_OWNER
        if isinstance(entry, Alias) and self._owns(account, entry.owners, ()):
            return _ALIAS_OWNER
        if isinstance(entry, Account) and is_one_of(self._directory, account, self._settings.helpdesk):
            return _HELPDESK
        return frozenset()

    def _owns(self, account: Entry, owners: Collection[str], addresses: Collection[str]) -> bool:
        own = account.addresses if isinstance(account, Recipient) else ()
        return is_one_of(self._directory, account, owners) or not {a.lower() for a in addresses}.isdisjoint(own)

    def _is_protected(self, entry: Entry, by: Entry) -> bool:
        """True for whom only administrators may touch: themselves, the help desk, who administers a domain that `by` does
        not, and lists that are the group of any of these. Otherwise `by` could become what they are."""
        if is_one_of(self._directory, entry, self._settings.administrators):
            return True
        is_account = isinstance(entry, Account)
        is_below = is_account and self._administers(by, entry.addresses if isinstance(entry, Recipient) else ())
        if is_one_of(self._directory, entry, self._settings.helpdesk):
            return not (is_below and is_one_of(self._directory, by, self._settings.helpdesk))
        theirs = [domain for domain in self._directory.domains() if is_one_of(self._directory, entry, domain.admins)]
        if is_account and not is_below:
            return bool(theirs)
        return any(not is_one_of(self._directory, by, domain.admins) for domain in theirs)

    def inherits(self, actor: Actor, dn: str) -> str:
        """ "" or why `actor` may not make an entry of this name: groups and lists of rights may still name an earlier one."""
        if self.is_administrator(actor):
            return ""
        granting = {*self._settings.administrators, *self._settings.helpdesk}
        granting.update(name for domain in self._directory.domains() for name in domain.admins)
        ids = {found.id for name in granting if (found := self._directory.by_dn(name)) is not None}
        if canonical_dn(dn) in map(canonical_dn, granting) or not ids.isdisjoint(groups_of(self._directory, dn)):
            return f"{dn} has rights from an earlier entry of this name; only administrators may make it again"
        return ""

    def may_set_status(self, actor: Actor, entry: Entry, status: str) -> str:
        """ "" or why not: the help desk switches logins on and off, it does not close accounts."""
        if self.is_administrator(actor) or actor.account is None:
            return ""
        addresses = entry.addresses if isinstance(entry, Recipient) else ()
        if status in ("active", "noaccess") or self._administers(actor.account, addresses):
            return ""
        return "you may set the status active or noaccess"

    def may_delete(self, actor: Actor, entry: Entry) -> str:
        """ "" or why not."""
        if actor.reads_only:
            return READS_ONLY
        if self.is_administrator(actor):
            return ""
        account = actor.account
        assert account is not None
        if entry.id == account.id:
            return "nobody deletes his own entry"
        if self._is_protected(entry, account):
            return "only administrators may delete the entry of somebody who administers others"
        if isinstance(entry, _OF_A_DOMAIN) and self._administers(account, entry.addresses):
            return ""
        return "you have no right to delete this entry"
