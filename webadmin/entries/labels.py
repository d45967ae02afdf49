"""What fields of the model are called in forms, and under which heading they stand. Help texts are the model's own."""

from __future__ import annotations

from flask_babel import gettext


def N_(text: str) -> str:  # noqa: N802 (the name that collectors of texts know)
    """Mark a text that is translated where it is shown."""
    return text


#: heading -> fields, in the order of forms; a field stands under the first heading that names it
SECTIONS: dict[str, tuple[str, ...]] = {
    N_("General"): (
        "name", "display_name", "logins", "given_name", "surname", "title", "department", "employee_number", "office",
        "phones", "mobile_phones", "kind", "aliases",
    ),
    N_("Addresses"): ("mail", "primary_address", "addresses", "hidden", "catch_all"),
    N_("Access"): ("status", "services", "expires", "must_change_password", "allow_net"),
    N_("Members"): (
        "targets", "members", "unique_members", "member_addresses", "member_urls", "member_exclude", "exclude_addresses",
    ),
    N_("People in charge"): ("owners", "owner_addresses", "moderators", "moderator_addresses", "admins"),
    N_("Posting"): (
        "accept_from", "reject_from", "moderation", "subscription", "subject_tag", "reply_to", "list_id", "archive",
    ),
    N_("Forwarding"): ("forwards", "keep_copy", "extensions", "delivery"),
    N_("Vacation reply"): (
        "vacation", "vacation_start", "vacation_end", "vacation_days", "vacation_subject", "vacation_text",
    ),
    N_("Sharing"): ("full_access", "read_access", "senders", "send_as"),
    N_("Limits"): (
        "quota", "quota_soft", "quota_messages", "quota_grace", "max_message_size", "max_recipients", "send_limits",
        "domain_send_limits", "domain_quota", "max_accounts",
    ),
    N_("Storage and routing"): (
        "mail_host", "store", "maildir", "next_hops", "relay_hosts", "dkim_selectors", "journal",
    ),
}  # fmt: skip
OTHER = N_("Other")

LABELS: dict[str, str] = {
    "accept_from": N_("Who may send here"),
    "addresses": N_("All addresses"),
    "admins": N_("Administrators of the domain"),
    "aliases": N_("Other names of the domain"),
    "allow_net": N_("Networks for logging in"),
    "archive": N_("Archive"),
    "catch_all": N_("Catch-all"),
    "delivery": N_("Delivery programs"),
    "department": N_("Department"),
    "display_name": N_("Name"),
    "dkim_selectors": N_("DKIM selectors"),
    "domain_quota": N_("Room of the whole domain"),
    "domain_send_limits": N_("Sending limits of the domain"),
    "employee_number": N_("Employee number"),
    "exclude_addresses": N_("Addresses left out"),
    "expires": N_("Expires (UTC)"),
    "extensions": N_("Rules for address extensions"),
    "forwards": N_("Forward to"),
    "full_access": N_("Full access"),
    "given_name": N_("Given name"),
    "hidden": N_("Hidden from address books"),
    "journal": N_("Journal to"),
    "keep_copy": N_("Keep a copy here"),
    "kind": N_("Kind"),
    "list_id": N_("List-Id"),
    "logins": N_("Login names"),
    "mail": N_("Primary address"),
    "mail_host": N_("Mail host"),
    "maildir": N_("Maildir"),
    "max_accounts": N_("Most accounts"),
    "max_message_size": N_("Largest message"),
    "max_recipients": N_("Most recipients"),
    "member_addresses": N_("Members outside"),
    "member_exclude": N_("People left out"),
    "member_urls": N_("Members by search"),
    "members": N_("Members"),
    "mobile_phones": N_("Mobile telephones"),
    "moderation": N_("Moderation"),
    "moderator_addresses": N_("Moderators outside"),
    "moderators": N_("Moderators"),
    "must_change_password": N_("Password must be changed"),
    "name": N_("Domain"),
    "next_hops": N_("Next hops"),
    "office": N_("Office"),
    "owner_addresses": N_("Owners outside"),
    "owners": N_("Owners"),
    "phones": N_("Telephones"),
    "primary_address": N_("Primary address (not ASCII)"),
    "quota": N_("Quota"),
    "quota_grace": N_("Grace over the soft quota"),
    "quota_messages": N_("Most messages"),
    "quota_soft": N_("Soft quota"),
    "read_access": N_("Read access"),
    "reject_from": N_("Who may not send here"),
    "relay_hosts": N_("Smarthosts"),
    "reply_to": N_("Answers go to"),
    "send_as": N_("May send as"),
    "send_limits": N_("Sending limits"),
    "senders": N_("Others who may send as this"),
    "services": N_("Services"),
    "sieve": N_("Sieve script"),
    "status": N_("Status"),
    "store": N_("Volume"),
    "subject_tag": N_("Subject tag"),
    "subscription": N_("Subscription"),
    "surname": N_("Surname"),
    "targets": N_("Stands for"),
    "title": N_("Position"),
    "unique_members": N_("Unique members"),
    "vacation": N_("Vacation replies"),
    "vacation_days": N_("Days between replies"),
    "vacation_end": N_("Until (UTC)"),
    "vacation_start": N_("From (UTC)"),
    "vacation_subject": N_("Subject"),
    "vacation_text": N_("Text"),
}

#: words of the directory, as people read them
WORD_LABELS: dict[str, str] = {
    "active": N_("active"),
    "noaccess": N_("no access, mail arrives"),
    "suspended": N_("suspended, mail waits"),
    "closed": N_("closed, mail is refused"),
    "local": N_("local"),
    "relay": N_("relay to other hosts"),
    "backup": N_("backup for its own hosts"),
    "none": N_("none"),
    "nonmembers": N_("posts of others than members"),
    "all": N_("every post"),
    "request": N_("on request"),
    "open": N_("open"),
    "imap": N_("IMAP"),
    "pop3": N_("POP3"),
    "submission": N_("sending"),
    "webmail": N_("webmail"),
    "sieve": N_("filters (Sieve)"),
    "selfservice": N_("self-service"),
}


def section_of(field: str) -> str:
    """The heading of a field."""
    return next((heading for heading, names in SECTIONS.items() if field in names), OTHER)


def word_label(word: str) -> str:
    """A word of the directory, in the reader's language."""
    return str(gettext(WORD_LABELS[word])) if word in WORD_LABELS else word
