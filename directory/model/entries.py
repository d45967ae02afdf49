"""What the directory holds, as Gatepost sees it. Each field carries its LDAP facts.

Every instance is immutable and carries `id` (`<source>:<lower-case RFC 4122 text>`, the identity) and
`dn` (where the entry is now: it changes on rename and move, the id does not).
"""

from __future__ import annotations

from dataclasses import dataclass

from directory.model.attribute import (
    ADDRESS,
    BOOLEAN,
    DN,
    HOST,
    INTEGER,
    NAME,
    PATH,
    SELF,
    TEXT,
    TIME,
    TOKEN,
    attribute,
    object_class,
    standard,
)


@object_class(
    "gatepostEntry",
    1,
    "STRUCTURAL",
    "Carrier for entries that exist only for mail",
    must=("cn",),
    also=("description", "owner", "seeAlso", "ou", "displayName", "member", "userPassword"),
)
@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Anything of interest in the directory."""

    id: str
    dn: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipient(Entry):
    """An entry that owns addresses. `addresses` are canonical and include the primary one."""

    mail: str | None = standard("mail", ADDRESS, "Primary address as shown")
    addresses: tuple[str, ...] = attribute(
        "gatepostAddress",
        1,
        ADDRESS,
        "Every address accepted for this entry, the primary one too",
        default=(),
    )
    primary_address: str | None = attribute(
        "gatepostPrimaryAddress", 60, ADDRESS, "Primary address where mail cannot hold it (non-ASCII)"
    )
    status: str = attribute("gatepostStatus", 2, TOKEN, "active, noaccess, suspended or closed", default="active")
    hidden: bool = attribute("gatepostHidden", 56, BOOLEAN, "Not shown in address books", default=False)
    expires: float | None = attribute("gatepostExpires", 57, TIME, "Entry stops working at this time")
    max_message_size: int | None = attribute("gatepostMaxMessageSize", 23, INTEGER, "Largest message in bytes")
    accept_from: tuple[str, ...] = attribute(
        "gatepostAcceptFrom",
        27,
        ADDRESS,
        "Who may send here: any, local, authenticated, members, owners, moderators, @domain or address",
        default=(),
    )
    reject_from: tuple[str, ...] = attribute(
        "gatepostRejectFrom", 28, ADDRESS, "Who may not send here: as gatepostAcceptFrom", default=()
    )
    senders: tuple[str, ...] = attribute(
        "gatepostSender", 26, DN, "Person or group that may send as this entry", default=()
    )
    display_name: str | None = standard("displayName", NAME, "Name as shown")

    @property
    def primary(self) -> str | None:
        """The address to show and to send as, canonical unless the directory wrote it otherwise."""
        return self.primary_address or self.mail or (self.addresses[0] if self.addresses else None)


@dataclass(frozen=True, slots=True, kw_only=True)
class MailboxHolder(Recipient):
    """A recipient with a store of its own."""

    mail_host: str | None = attribute("gatepostMailHost", 4, HOST, "Gateway host or cluster that holds the mailbox")
    store: str | None = attribute("gatepostStore", 5, TOKEN, "Name of the configured storage volume")
    maildir: str | None = attribute("gatepostMaildir", 6, PATH, "Maildir relative to the storage volume")
    quota: int | None = attribute("gatepostQuota", 7, INTEGER, "Hard quota in bytes, 0 is unlimited")
    quota_soft: int | None = attribute("gatepostQuotaSoft", 8, INTEGER, "Soft quota in bytes: warn from here on")
    quota_messages: int | None = attribute("gatepostQuotaMessages", 9, INTEGER, "Hard limit on number of messages")
    quota_grace: int | None = attribute(
        "gatepostQuotaGrace", 10, INTEGER, "Seconds over soft quota before it becomes hard"
    )
    forwards: tuple[str, ...] = attribute(
        "gatepostForward",
        11,
        ADDRESS,
        "Address that gets a copy or the message itself",
        write=SELF,
        default=(),
    )
    keep_copy: bool = attribute(
        "gatepostKeepCopy", 12, BOOLEAN, "Also deliver locally when forwarding", write=SELF, default=True
    )
    sieve: str | None = attribute(
        "gatepostSieve", 19, TEXT, "Administrator sieve script run before the user script", since=None
    )
    delivery: tuple[str, ...] = attribute(
        "gatepostDelivery",
        20,
        TOKEN,
        "Name of a delivery program configured on the gateway",
        default=(),
    )
    extensions: tuple[str, ...] = attribute(
        "gatepostExtension", 21, TEXT, "Rule for user extensions: EXT ACTION ARGUMENT", default=()
    )
    full_access: tuple[str, ...] = attribute(
        "gatepostFullAccess", 43, DN, "Person or group with all rights on this mailbox", default=()
    )
    read_access: tuple[str, ...] = attribute(
        "gatepostReadAccess", 44, DN, "Person or group that may read this mailbox", default=()
    )


@object_class(
    "gatepostAccount",
    2,
    "AUXILIARY",
    "Mail account of a person",
    must=("gatepostAddress",),
    also=("description", "userPassword", "preferredLanguage"),
)
@dataclass(frozen=True, slots=True, kw_only=True)
class Account(MailboxHolder):
    """A person (or program) that logs in and has a store."""

    logins: tuple[str, ...] = standard("uid", NAME, "Login names", default=())
    given_name: str | None = standard("givenName", NAME, "Given name", write=SELF)
    surname: str | None = standard("sn", NAME, "Surname", write=SELF)
    title: str | None = standard("title", NAME, "Position in the company")
    department: str | None = standard("departmentNumber", NAME, "Department")
    employee_number: str | None = standard("employeeNumber", NAME, "Number by which the company knows the person")
    office: str | None = standard("physicalDeliveryOfficeName", NAME, "Where the person sits", write=SELF)
    phones: tuple[str, ...] = standard("telephoneNumber", NAME, "Telephone numbers at work", write=SELF, default=())
    mobile_phones: tuple[str, ...] = standard("mobile", NAME, "Mobile telephone numbers", write=SELF, default=())
    services: tuple[str, ...] | None = attribute(
        "gatepostService", 3, TOKEN, "Enabled service: imap, pop3, submission, webmail, sieve, selfservice"
    )
    vacation: bool = attribute("gatepostVacation", 13, BOOLEAN, "Vacation replies on", write=SELF, default=False)
    vacation_start: float | None = attribute(
        "gatepostVacationStart", 14, TIME, "First moment of vacation replies", write=SELF
    )
    vacation_end: float | None = attribute(
        "gatepostVacationEnd", 15, TIME, "Last moment of vacation replies", write=SELF
    )
    vacation_days: int | None = attribute(
        "gatepostVacationDays", 16, INTEGER, "Days between replies to one sender", write=SELF
    )
    vacation_subject: str | None = attribute(
        "gatepostVacationSubject", 17, TEXT, "Subject of vacation replies", write=SELF
    )
    vacation_text: str | None = attribute("gatepostVacationText", 18, TEXT, "Text of vacation replies", write=SELF)
    send_limits: tuple[str, ...] = attribute(
        "gatepostSendLimit", 22, TOKEN, "Sending limit COUNT/PERIOD such as 200/h", default=()
    )
    max_recipients: int | None = attribute("gatepostMaxRecipients", 24, INTEGER, "Most recipients of one message")
    send_as: tuple[str, ...] = attribute(
        "gatepostSendAs", 25, ADDRESS, "Address or @domain this account may send as", default=()
    )
    allow_net: tuple[str, ...] = attribute(
        "gatepostAllowNet", 29, TOKEN, "Network in CIDR form from which this account may log in", default=()
    )
    relay_hosts: tuple[str, ...] = attribute(
        "gatepostRelayHost",
        50,
        HOST,
        "host:port smarthost for mail from this domain or account",
        default=(),
    )
    must_change_password: bool = attribute(
        "gatepostMustChangePassword",
        58,
        BOOLEAN,
        "User must change the password at next login",
        default=False,
    )
    scram_keys: tuple[str, ...] = attribute(
        "gatepostScramKey", 59, TEXT, "RFC 5803 style SCRAM stored key", since=None, default=()
    )


@object_class(
    "gatepostAlias",
    3,
    "AUXILIARY",
    "Alias that forwards to addresses or entries",
    must=("gatepostAddress",),
    also=("description",),
)
@dataclass(frozen=True, slots=True, kw_only=True)
class Alias(Recipient):
    """An address that stands for others; the return path stays the author's (RFC 5598 5.1)."""

    forwards: tuple[str, ...] = attribute(
        "gatepostForward",
        11,
        ADDRESS,
        "Address that gets a copy or the message itself",
        write=SELF,
        default=(),
    )
    targets: tuple[str, ...] = attribute("gatepostTarget", 30, DN, "Entry this alias stands for", default=())
    owners: tuple[str, ...] = standard("owner", DN, "Who answers for the entry", default=())


@object_class("gatepostList", 4, "AUXILIARY", "Mailing list", must=("gatepostAddress",), also=("description",))
@dataclass(frozen=True, slots=True, kw_only=True)
class MailingList(Recipient):
    """An address whose mail goes to members, with a return path of the list's own (RFC 5598 5.3)."""

    members: tuple[str, ...] = standard("member", DN, "Members by DN", default=())
    unique_members: tuple[str, ...] = standard("uniqueMember", DN, "Members by DN", default=())
    member_urls: tuple[str, ...] = standard("memberURL", TEXT, "Members by search (ldap URL)", default=())
    member_addresses: tuple[str, ...] = attribute(
        "gatepostMemberAddress", 31, ADDRESS, "List member by address", default=()
    )
    member_exclude: tuple[str, ...] = attribute(
        "gatepostMemberExclude", 61, DN, "Person or group never sent list mail", default=()
    )
    exclude_addresses: tuple[str, ...] = attribute(
        "gatepostExcludeAddress", 33, ADDRESS, "Address never sent list mail", default=()
    )
    owners: tuple[str, ...] = standard("owner", DN, "Who answers for the entry", default=())
    owner_addresses: tuple[str, ...] = attribute(
        "gatepostOwnerAddress", 34, ADDRESS, "List owner by address", default=()
    )
    moderators: tuple[str, ...] = attribute("gatepostModerator", 35, DN, "List moderator by DN", default=())
    moderator_addresses: tuple[str, ...] = attribute(
        "gatepostModeratorAddress", 36, ADDRESS, "List moderator by address", default=()
    )
    moderation: str = attribute("gatepostModeration", 37, TOKEN, "none, nonmembers or all", default="none")
    subject_tag: str | None = attribute("gatepostSubjectTag", 38, TEXT, "Tag put before the subject")
    reply_to: str | None = attribute("gatepostReplyTo", 39, ADDRESS, "sender, list or an address")
    list_id: str | None = attribute("gatepostListId", 40, TOKEN, "List-Id (RFC 2919)")
    subscription: str = attribute("gatepostSubscription", 41, TOKEN, "closed, request or open", default="closed")
    archive: str | None = attribute("gatepostArchive", 42, DN, "Shared mailbox that keeps the archive")
    max_recipients: int | None = attribute("gatepostMaxRecipients", 24, INTEGER, "Most recipients of one message")


@object_class(
    "gatepostSharedMailbox",
    5,
    "AUXILIARY",
    "Mailbox without a login of its own",
    must=("gatepostAddress",),
    also=("description",),
)
@dataclass(frozen=True, slots=True, kw_only=True)
class SharedMailbox(MailboxHolder):
    """A store that several people work on; nobody logs in as it."""

    owners: tuple[str, ...] = standard("owner", DN, "Who answers for the entry", default=())


@object_class("gatepostDomain", 6, "AUXILIARY", "Mail domain", must=("gatepostDomainName",), also=("description",))
@dataclass(frozen=True, slots=True, kw_only=True)
class Domain(Entry):
    """A mail domain of ours, with defaults for what its entries leave open."""

    name: str = attribute("gatepostDomainName", 45, HOST, "Mail domain, A-label form", default="")
    aliases: tuple[str, ...] = attribute("gatepostDomainAlias", 46, HOST, "Domain rewritten to this domain", default=())
    kind: str = attribute("gatepostDomainKind", 47, TOKEN, "local, relay or backup", default="local")
    status: str = attribute("gatepostStatus", 2, TOKEN, "active, noaccess, suspended or closed", default="active")
    catch_all: tuple[str, ...] = attribute(
        "gatepostCatchAll", 48, ADDRESS, "Where mail to unknown users of this domain goes", default=()
    )
    next_hops: tuple[str, ...] = attribute(
        "gatepostNextHop", 49, HOST, "host:port that takes mail for this relay domain", default=()
    )
    relay_hosts: tuple[str, ...] = attribute(
        "gatepostRelayHost",
        50,
        HOST,
        "host:port smarthost for mail from this domain or account",
        default=(),
    )
    max_accounts: int | None = attribute("gatepostMaxAccounts", 51, INTEGER, "Most accounts in this domain")
    domain_quota: int | None = attribute(
        "gatepostDomainQuota", 52, INTEGER, "Sum of all mailboxes of this domain in bytes"
    )
    quota: int | None = attribute("gatepostQuota", 7, INTEGER, "Hard quota in bytes, 0 is unlimited")
    quota_soft: int | None = attribute("gatepostQuotaSoft", 8, INTEGER, "Soft quota in bytes: warn from here on")
    quota_messages: int | None = attribute("gatepostQuotaMessages", 9, INTEGER, "Hard limit on number of messages")
    quota_grace: int | None = attribute(
        "gatepostQuotaGrace", 10, INTEGER, "Seconds over soft quota before it becomes hard"
    )
    services: tuple[str, ...] | None = attribute(
        "gatepostService", 3, TOKEN, "Enabled service: imap, pop3, submission, webmail, sieve, selfservice"
    )
    max_message_size: int | None = attribute("gatepostMaxMessageSize", 23, INTEGER, "Largest message in bytes")
    max_recipients: int | None = attribute("gatepostMaxRecipients", 24, INTEGER, "Most recipients of one message")
    send_limits: tuple[str, ...] = attribute(
        "gatepostSendLimit", 22, TOKEN, "Sending limit COUNT/PERIOD such as 200/h", default=()
    )
    domain_send_limits: tuple[str, ...] = attribute(
        "gatepostDomainSendLimit",
        62,
        TOKEN,
        "Sending limit of all accounts of this domain together, COUNT/PERIOD such as 5000/d",
        default=(),
    )
    store: str | None = attribute("gatepostStore", 5, TOKEN, "Name of the configured storage volume")
    mail_host: str | None = attribute("gatepostMailHost", 4, HOST, "Gateway host or cluster that holds the mailbox")
    admins: tuple[str, ...] = attribute(
        "gatepostDomainAdmin", 53, DN, "Person or group that administers this domain", default=()
    )
    dkim_selectors: tuple[str, ...] = attribute(
        "gatepostDkimSelector",
        54,
        TOKEN,
        "DKIM selector; the key itself is a file on the gateway",
        default=(),
    )
    journal: tuple[str, ...] = attribute(
        "gatepostJournal", 55, ADDRESS, "Address that gets a copy of every message", default=()
    )


@object_class(
    "gatepostServiceAccount",
    7,
    "AUXILIARY",
    "Login of a machine or program that only sends",
    must=("userPassword",),
    also=("mail", "owner", "description"),
)
@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceAccount(Entry):
    """A login that only submits: a printer, a monitoring system."""

    logins: tuple[str, ...] = standard("uid", NAME, "Login names", default=())
    status: str = attribute("gatepostStatus", 2, TOKEN, "active, noaccess, suspended or closed", default="active")
    expires: float | None = attribute("gatepostExpires", 57, TIME, "Entry stops working at this time")
    send_as: tuple[str, ...] = attribute(
        "gatepostSendAs", 25, ADDRESS, "Address or @domain this account may send as", default=()
    )
    send_limits: tuple[str, ...] = attribute(
        "gatepostSendLimit", 22, TOKEN, "Sending limit COUNT/PERIOD such as 200/h", default=()
    )
    max_message_size: int | None = attribute("gatepostMaxMessageSize", 23, INTEGER, "Largest message in bytes")
    max_recipients: int | None = attribute("gatepostMaxRecipients", 24, INTEGER, "Most recipients of one message")
    allow_net: tuple[str, ...] = attribute(
        "gatepostAllowNet", 29, TOKEN, "Network in CIDR form from which this account may log in", default=()
    )
    services: tuple[str, ...] | None = attribute(
        "gatepostService", 3, TOKEN, "Enabled service: imap, pop3, submission, webmail, sieve, selfservice"
    )
    scram_keys: tuple[str, ...] = attribute(
        "gatepostScramKey", 59, TEXT, "RFC 5803 style SCRAM stored key", since=None, default=()
    )


@object_class(
    "gatepostAppPassword",
    8,
    "AUXILIARY",
    "Additional password of the parent account",
    must=("userPassword",),
    also=("description",),
)
@dataclass(frozen=True, slots=True, kw_only=True)
class AppPassword(Entry):
    """A password of its own for one device, a child entry of the account."""

    services: tuple[str, ...] | None = attribute(
        "gatepostService", 3, TOKEN, "Enabled service: imap, pop3, submission, webmail, sieve, selfservice"
    )
    allow_net: tuple[str, ...] = attribute(
        "gatepostAllowNet", 29, TOKEN, "Network in CIDR form from which this account may log in", default=()
    )
    expires: float | None = attribute("gatepostExpires", 57, TIME, "Entry stops working at this time")
    scram_keys: tuple[str, ...] = attribute(
        "gatepostScramKey", 59, TEXT, "RFC 5803 style SCRAM stored key", since=None, default=()
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Group(Entry):
    """A group without an address: expanded as a member, asked for rights, never a recipient."""

    members: tuple[str, ...] = standard("member", DN, "Members by DN", default=())
    unique_members: tuple[str, ...] = standard("uniqueMember", DN, "Members by DN", default=())


#: the classes that have an LDAP object class, in schema order
CLASSES: tuple[type[Entry], ...] = (
    Entry,
    Account,
    Alias,
    MailingList,
    SharedMailbox,
    Domain,
    ServiceAccount,
    AppPassword,
)
