"""docs/limits.md names settings that there are, with their defaults; of connections and POP3 every one."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_type_hints

import msgspec
import pytest

from directory.authenticator_settings import AuthSettings
from directory.model.units import write_seconds, write_size
from gateway.imap import (
    appending,
    contexts,
    fetch_items,
    flags,
    metadata,
    notifying,
    parser,
    search_keys,
    sort_keys,
    sources,
    threads,
    urls,
)
from gateway.imap.commands import acl as acl_commands
from gateway.imap.commands import create, enable, identity, listing
from gateway.imap.settings import ImapSettings
from gateway.lists.settings import ListSettings
from gateway.mail.settings import BounceSettings
from gateway.mime import limits
from gateway.observe.settings import TraceSettings
from gateway.pop3.settings import Pop3Settings
from gateway.queue.settings import QueueSettings
from gateway.route.relay_settings import RelaySettings
from gateway.route.settings import RouteSettings
from gateway.service import imap_notify, imap_shared
from gateway.service.settings import LimitSettings
from gateway.smtp.settings import SmtpSettings
from gateway.store import acl, folders, keeping, layout, markers
from gateway.store import metadata as kept_metadata

PAGE = Path(__file__).resolve().parents[2] / "docs" / "limits.md"
SECTIONS = {
    "auth": AuthSettings,
    "limits": LimitSettings,
    "smtp": SmtpSettings,
    "imap": ImapSettings,
    "pop3": Pop3Settings,
    "queue": QueueSettings,
    "relay": RelaySettings,
    "route": RouteSettings,
    "lists": ListSettings,
    "bounce": BounceSettings,
    "trace": TraceSettings,
}
#: what no setting changes, as the page says it
FIXED = (
    f"FETCH | {fetch_items.MAX_ITEMS} items, {fetch_items.MAX_NAMES:,} header fields in one item, "
    f"{fetch_items.MAX_DEPTH} numbers",
    f"SEARCH | {search_keys.MAX_KEYS:,} keys, {search_keys.MAX_NESTING} levels of NOT, OR and brackets, "
    f"{search_keys.MAX_NEEDLE:,} octets",
    f"ESEARCH | {notifying.MAX_GROUPS} filters, {notifying.MAX_NAMES} mailboxes named, {sources.MAX_SEARCHED:,} mailboxes searched",
    f"with UPDATE | {contexts.MAX_CONTEXTS} of a session, {contexts.MAX_RESULTS:,} results",
    f"SORT | {sort_keys.MAX_KEYS} keys",
    f"LIST | {listing.MAX_PATTERNS} patterns",
    f"{flags.MAX_FLAGS} flags, {flags.MAX_KEYWORD} octets a keyword",
    f"ENABLE | {enable.MAX_NAMES} names",
    f"ID | {identity.MAX_PAIRS} fields of {identity.MAX_FIELD} octets, {identity.MAX_VALUE:,} octets a value",
    f"APPEND | {appending.MAX_MESSAGES:,} messages, together {appending.MAX_TOGETHER} times `imap.max_append`; "
    f"CATENATE {appending.MAX_PARTS:,} parts, a URL of {urls.MAX_URL:,} octets",
    f"CREATE | {create.MAX_USES} special uses",
    f"{parser.MAX_RANGES:,} ranges, numbers to {parser.MAX_NUMBER:,}",
    f"{layout.MAX_NAME:,} octets on the wire, {layout.MAX_DEPTH} levels and a folder of {layout.MAX_FOLDER} octets",
    f"{folders.MAX_MAILBOXES:,} mailboxes and {markers.MAX_SUBSCRIPTIONS:,} subscriptions",
    f"{limits.MAX_ADDRESSES:,} addresses of a field in ENVELOPE, {limits.MAX_NESTING} levels and {limits.MAX_PARTS:,} parts",
    f"{threads.MAX_REFERENCES:,} references of a message in THREAD, {sort_keys.MAX_LENGTH:,} characters",
    f"after {threads.MAX_STEPS:,} steps",
    f"| SETACL, GETACL | {acl_commands.MAX_IDENTIFIER:,} octets of an identifier |",
    f"| GETMETADATA, SETMETADATA | {metadata.MAX_NAMES} entries, {metadata.MAX_NAME} octets a name |",
    f"| NOTIFY | {notifying.MAX_GROUPS} filters, {notifying.MAX_NAMES} mailboxes named |",
    f"A mailbox has rights for {acl.MAX_ENTRIES} others",
    f"An annotation has {metadata.MAX_VALUE:,} octets (`NO [METADATA MAXSIZE {metadata.MAX_VALUE}]`)",
    f"has {kept_metadata.MAX_ENTRIES} with a mailbox, and the text that keeps them {kept_metadata.MAX_OWN >> 10} KiB of a person",
    f"and {kept_metadata.MAX_OCTETS >> 10} KiB of a mailbox",
    f"LIST looks at {imap_shared.MAX_GRANTED:,} mailboxes of other stores",
    f"NOTIFY watches {notifying.MAX_WATCHED:,} mailboxes",
    f"when {imap_notify.MAX_PENDING:,} have changed",
    f"kept {keeping.MAX_LISTED:,} of an account are shown",
)
COMPLETE = ("limits.", "pop3.")


def shown(hint: Any, value: Any) -> str:
    metas = [meta for meta in getattr(hint, "__metadata__", ()) if isinstance(meta, msgspec.Meta)]
    unit = next((meta.extra["unit"] for meta in metas if meta.extra), "")
    if unit == "size":
        return write_size(value)
    if unit == "seconds":
        return write_seconds(value)
    return ", ".join(value) if isinstance(value, tuple) else str(value)


@pytest.mark.parametrize("said", FIXED)
def test_what_no_setting_changes(said: str) -> None:
    assert said in " ".join(PAGE.read_text(encoding="utf-8").split())


def test_every_setting_with_its_default() -> None:
    rows = re.findall(r"^\| `(\w+\.\w+)` \| ([^|]+) \| ", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    said = dict(rows)
    assert len(said) == len(rows)
    expected = {}
    for section, kind in SECTIONS.items():
        hints = get_type_hints(kind, include_extras=True)
        for field in msgspec.structs.fields(kind):
            expected[f"{section}.{field.name}"] = shown(hints[field.name], field.default)
    assert said.items() <= expected.items()
    assert {name for name in expected if name.startswith(COMPLETE)} <= said.keys()
