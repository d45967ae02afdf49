"""What other processes say no with, in the reader's language.

They speak English, for the command line and the log. The messages are a closed set: each is one of SAID with its blanks filled,
and what fills a blank or stands behind a colon may be one too. What is none stays as it is.
"""

from __future__ import annotations

import functools
import re

from flask import has_request_context
from flask_babel import get_locale, gettext

MAX_TEXT = 1000  # characters that are looked at: patterns with several blanks take long for long texts
MAX_DEPTH = 3
_BLANK = re.compile(r"%\((\w+)\)s")


def N_(text: str) -> str:  # noqa: N802 (gettext's own name)
    """Marks a text that is translated where it is shown."""
    return text


#: a message that begins as another does stands before it
SAID = (
    # entries and what they hold
    N_("no account %(text)s"),
    N_("%(number)s accounts have the login %(text)s"),
    N_("nobody has the address %(address)s"),
    N_("%(number)s entries have the login or address %(text)s"),
    N_("%(number)s entries have addresses in %(domain)s, such as %(shown)s: delete or move them first"),
    N_("%(number)s entries have the address %(address)s: %(names)s"),
    N_("%(address)s is %(kind)s, not %(other)s"),
    N_("an account"), N_("an alias"), N_("a mailing list"), N_("a shared mailbox"), N_("a service account"), N_("a domain"),
    N_("an entry with addresses"),
    N_("there is no %(kind)s %(name)s that you may look at"),
    N_("there is no entry %(text)s"),
    N_("there is no %(kind)s %(name)s"),
    N_("no domain %(name)s; gatepost domain list shows those there are"),
    N_("a domain keeps its name: add the new one, with this one among its aliases"),
    N_("%(field)s is named twice"),
    N_("%(field)s has one value: write %(example)s"),
    N_("%(field)s has one value"),
    N_("%(field)s has no value %(value)s; there is %(others)s"),
    N_("the address %(address)s belongs to %(name)s"),
    N_("the login %(login)s belongs to %(name)s"),
    N_("the domain %(name)s is there already, in %(place)s"),
    N_("%(name)s is no domain of ours; there is %(others)s"),
    N_("%(name)s stands in the configuration file (directory.domains), not in the directory"),
    N_("%(name)s has %(count)s accounts and may have %(most)s: delete one, or raise its max_accounts (gatepostMaxAccounts)"),
    N_("%(name)s is gone from the directory"),
    N_("%(name)s is gone"),
    N_("%(name)s is closed"),
    N_("%(name)s was changed meanwhile; look at it again, then try again"),
    N_("%(name)s is not in the local copy yet: set the password with gatepost passwd"),
    N_("an alias needs a target: a login or an address"),
    N_("%(address)s would stand for nobody: remove the alias itself"),
    N_("an address is needed (--address): there are several domains, %(names)s"),
    N_("this account is gone"),
    N_("this list is gone"),
    # values
    N_("%(what)s has 1 to %(most)s printable characters"),
    N_("a login has 1 to 64 letters, digits, and . _ - + @ after the first"),
    N_("a value is needed; to remove the attribute, write nothing behind the ="),
    N_("at most %(most)s printable characters are allowed"),
    N_("mail holds ASCII only; write the address as primary_address"),
    N_("%(text)s is no network such as 192.0.2.0/24 or 2001:db8::/32"),
    N_("%(text)s is no network such as 192.0.2.0/24"),
    N_("%(text)s is no search such as ldap:///ou=people,o=example??sub?(departmentNumber=sales)"),
    N_("%(text)s is no date such as 2027-01-31 or 2027-01-31 18:00 (UTC)"),
    N_("%(text)s is no date of the calendar"),
    N_("%(text)s is not a number, 0 or more"),
    N_("%(text)s is too large"),
    N_("%(text)s is not yes or no"),
    N_("%(word)s is not known; did you mean %(close)s? allowed: %(others)s"),
    N_("%(word)s is not known; allowed: %(others)s"),
    N_("an address is written local-part@domain"),
    N_("the domain is empty"),
    N_("the domain is longer than 255 octets"),
    N_("the domain is not valid: %(why)s"),
    N_("the domain has a label that DNS does not allow"),
    N_("the part before the @ is longer than 64 octets"),
    N_("the part before the @ holds a control character"),
    N_("a photo has at most %(size)s KiB"),
    N_("a photo has at most %(side)s pixels in each direction, 8 bits deep"),
    N_("a photo is a JPEG file"),
    N_("this JPEG file is damaged, or of a kind that browsers do not show"),
    # what the directory does not do
    N_("the directory does not let this password be changed"),
    N_("the directory wants the old password too"),
    N_("the directory finds the password too weak"),
    N_("the password is too short"),
    N_("the password was changed too recently"),
    N_("the password was used before"),
    N_("a password has 1 to %(most)s octets"),
    N_("the directory does not take this password: %(why)s"),
    N_("the directory refuses it, another entry has this value already or a rule forbids it (%(what)s)"),
    N_("the entry was changed meanwhile; look at it again, then try again (%(what)s)"),
    N_("the directory does not take it: %(what)s"),
    N_("the directory has no such entry, or no such place for it: %(what)s"),
    N_("the directory does not allow %(who)s to do it: %(what)s"),
    N_("the directory does not let %(name)s in with this password"),
    N_("the directory has an entry of this name already"),
    N_("there are entries below this one"),
    N_("the directory is read-only for Gatepost: set directory.write_bind, or give the password of an account that may write"),
    N_("this directory is a file and read-only for Gatepost: change the file, it is read again at once"),
    N_("the directory is the file %(path)s: it is changed with an editor, not through Gatepost"),
    # rights
    N_("of your own entry you may change %(fields)s, not %(others)s"),
    N_("you may change %(fields)s here, not %(others)s"),
    N_("you may set the status active or noaccess"),
    N_("you have no right to change this entry"),
    N_("you have no right to delete this entry"),
    N_("you administer no domain with %(addresses)s"),
    N_("nobody changes his own status"),
    N_("nobody deletes his own entry"),
    N_("only administrators may change the entry of somebody who administers others"),
    N_("only administrators may delete the entry of somebody who administers others"),
    N_("only administrators may change %(fields)s"),
    N_("%(name)s has rights from an earlier entry of this name; only administrators may make it again"),
    N_("only administrators read the journal"),
    N_("only administrators take back what others did"),
    N_("only administrators make deleted entries again"),
    N_("to change your own password, give the old one"),
    N_("the password of the directory is needed here"),
    N_("the password is not right"),
    # the journal
    N_("the journal has no change %(number)s"),
    N_("change %(number)s (%(what)s) cannot be taken back"),
    # app passwords, sessions, second factors
    N_("a name of 1 to %(most)s printable characters is needed"),
    N_("%(number)s app passwords are there already; revoke one first"),
    N_("%(login)s has no app password %(id)s"),
    N_("app passwords are made and ended by their owner or an administrator"),
    N_("there is no such session of yours, or it has ended"),
    N_("second factors are enrolled and removed by their owner"),
    N_("that took too long, begin again"),
    N_("there is no such second factor"),
    N_("recovery codes stand in for a second factor; enrol one first"),
    N_("your own second factors you remove one by one, with your password"),
    N_("passkeys need web.url, which an administrator sets"),
    N_("that code is not right: is the clock of the device right?"),
    N_("the browser's answer is not good: %(why)s"),
    # lists, applications, mail that waits
    N_("the owners of this list admit its members: write to its request address"),
    N_("that is for people with an address"),
    N_("nobody applies for %(domain)s; there is %(others)s"),
    N_("a login has letters a to z, digits, dots and dashes, and begins and ends with one of the former"),
    N_("name and note are text in one script or several, without control characters"),
    N_("too many applications at the moment, try again tomorrow"),
    N_("this link leads to no application; it may have expired or been decided on"),
    N_("nobody has decided on this application yet"),
    N_("no such application waits for you"),
    N_("%(text)s is no login"),
    N_("no message %(id)s of yours waits"),
    N_("too late, it is being delivered at this moment"),
    N_("too late, it is delivered"),
    N_("the queue runner is busy, try again"),
    N_("what happened to messages cannot be read: %(why)s"),
)  # fmt: skip


@functools.cache
def _patterns() -> tuple[tuple[str, re.Pattern[str]], ...]:
    made = []
    for text in SAID:
        pieces = _BLANK.split(text)  # text, name, text, name, text
        pattern = "".join(
            f"(?P<{piece}>.+?)" if number % 2 else re.escape(piece) for number, piece in enumerate(pieces)
        )
        made.append((text, re.compile(pattern, re.DOTALL)))
    return tuple(made)


def matching(text: str) -> tuple[str, dict[str, str]] | None:
    """Which of SAID it is, and what is in its blanks."""
    for known, pattern in _patterns():
        found = pattern.fullmatch(text)
        if found is not None:
            return known, found.groupdict()
    return None


def in_words(text: str) -> str:
    """The message in the reader's language."""
    if len(text) > MAX_TEXT or not has_request_context() or str(get_locale() or "en") == "en":
        return text
    return _in_words(text, MAX_DEPTH)


def _in_words(text: str, depth: int) -> str:
    if not depth:
        return text
    found = matching(text)
    if found is not None:
        known, blanks = found
        return str(gettext(known, **{name: _in_words(value, depth - 1) for name, value in blanks.items()}))
    what, colon, why = text.partition(": ")  # a field, an address: what is wrong with it
    return f"{what}: {_in_words(why, depth - 1)}" if colon else text
