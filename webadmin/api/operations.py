"""The table: each operation of the JSON interface is a control verb, the same that pages and command line use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from webadmin.api import bodies
from webadmin.backend import AGENT_SOCKET, MAIL_SOCKET
from webadmin.person import ask
from webadmin.setup.dns import also_wanted

#: the words of the address and the kind that verbs know
KINDS = {"users": "user", "aliases": "alias", "lists": "list", "shared": "shared", "domains": "domain"}
Path = dict[str, str]
Data = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Operation:
    """`path` with {names} in braces; `build` makes the verb's arguments from them and from body or query. What is made
    (201) or changed (200) needs a token for writing."""

    id: str
    method: str
    path: str
    summary: str
    verb: str
    build: Callable[[Path, Data], Data]
    body: type[msgspec.Struct] | None = None
    query: type[msgspec.Struct] | None = None
    socket: str = AGENT_SOCKET
    status: int = 200

    @property
    def changes(self) -> bool:
        """True for what a token for reading may not do."""
        return self.method != "GET"


def _named(kind: str) -> Callable[[Path, Data], Data]:
    return lambda path, data: {"kind": kind, "name": path["name"], **data}


def _of_list(*names: str) -> Callable[[Path, Data], Data]:
    """The runner knows lists by their entry id, which the agent tells to those who may see the list."""

    def build(path: Path, data: Data) -> Data:
        found = ask("show", kind="list", name=path["name"])
        return {"list": found["id"], **{name: path[name] for name in names}, **data}

    return build


def _domain_dns(path: Path, data: Data) -> Data:
    return {"name": path["name"], "also": also_wanted(path["name"])}


def _entries(word: str, kind: str) -> list[Operation]:
    """What all kinds of entries have."""
    single = {"aliases": "alias", "lists": "list", "users": "user", "shared": "shared mailbox", "domains": "domain"}[
        word
    ]
    return [
        Operation(f"find_{word}", "GET", f"/{word}", f"Find {word.replace('shared', 'shared mailboxes')}", "find",
                  lambda path, data: {"kind": kind, **data}, query=bodies.Search),
        Operation(f"show_{kind}", "GET", f"/{word}/{{name}}", f"One {single} with all its attributes", "show", _named(kind)),
        Operation(f"change_{kind}", "PATCH", f"/{word}/{{name}}", f"Change a {single}", "change", _named(kind),
                  body=bodies.ChangeEntry),
        Operation(f"delete_{kind}", "DELETE", f"/{word}/{{name}}", f"Delete a {single}; the journal can undo it", "delete", _named(kind)),
    ]  # fmt: skip


OPERATIONS: tuple[Operation, ...] = (
    Operation("me", "GET", "/me", "Who the token acts for, and what he may", "whoami", lambda path, data: {}),
    *(operation for word, kind in KINDS.items() for operation in _entries(word, kind)),
    Operation("add_user", "POST", "/users", "Make a person", "add-user", lambda path, data: data, body=bodies.NewUser, status=201),
    Operation("set_password", "PUT", "/users/{name}/password", "Set a password", "set-password",
              lambda path, data: {"login": path["name"], **data}, body=bodies.NewPassword),
    Operation("add_alias", "POST", "/aliases", "Make an alias, or give it more targets", "add-alias",
              lambda path, data: data, body=bodies.NewAlias, status=201),
    Operation("remove_targets", "POST", "/aliases/{name}/remove", "Take targets out of an alias", "alias-remove",
              lambda path, data: {"address": path["name"], **data}, body=bodies.Targets),
    Operation("add_list", "POST", "/lists", "Make a mailing list", "add-list", lambda path, data: data, body=bodies.NewList, status=201),
    Operation("show_members", "GET", "/lists/{name}/members", "Who is in a list", "members-of",
              lambda path, data: {"list": path["name"], **data}, query=bodies.MemberSearch),
    Operation("members", "POST", "/lists/{name}/members", "Take members in or out", "members",
              lambda path, data: {"list": path["name"], **data}, body=bodies.Members),
    Operation("held_posts", "GET", "/lists/{name}/held", "Posts that wait for a moderator", "list-held", _of_list(), socket=MAIL_SOCKET),
    Operation("decide", "POST", "/lists/{name}/held/{post}", "Approve or reject one", "list-moderate", _of_list("post"),
              body=bodies.Decision, socket=MAIL_SOCKET),
    Operation("bounces", "GET", "/lists/{name}/bounces", "Members whose copies came back", "list-bounces", _of_list(), socket=MAIL_SOCKET),
    Operation("unpark", "DELETE", "/lists/{name}/bounces/{member}", "Let a member have mail again", "list-unpark", _of_list("member"),
              socket=MAIL_SOCKET),
    Operation("add_shared", "POST", "/shared", "Make a shared mailbox", "add-shared", lambda path, data: data, body=bodies.NewShared, status=201),
    Operation("domain_dns", "GET", "/domains/{name}/dns", "The records that a domain's zone needs, and whether they are there",
              "domain-dns", _domain_dns, socket=MAIL_SOCKET),
    Operation("quotas", "GET", "/quotas", "What mailboxes hold and may hold", "quota-use", lambda path, data: data,
              query=bodies.QuotaSearch, socket=MAIL_SOCKET),
    Operation("add_domain", "POST", "/domains", "Make a domain", "add-domain", lambda path, data: data, body=bodies.NewDomain, status=201),
    Operation("queue", "GET", "/queue", "Mail that waits, the oldest first", "queued-list", lambda path, data: data,
              query=bodies.QueueSearch, socket=MAIL_SOCKET),
    Operation("show_queued", "GET", "/queue/{message}", "One message that waits, and why", "queued-show", lambda path, data: path,
              socket=MAIL_SOCKET),
    Operation("change_queued", "PATCH", "/queue/{message}", "Hold it, release it, or try it now", "queued-change",
              lambda path, data: {**path, **data}, body=bodies.QueueChange, socket=MAIL_SOCKET),
    Operation("drop_queued", "DELETE", "/queue/{message}", "Throw it away; nobody is told", "queued-change",
              lambda path, data: {**path, "what": "drop"}, socket=MAIL_SOCKET),
    Operation("trace", "GET", "/trace", "What became of messages", "mail-trace",
              lambda path, data: {"text": data["text"], "seconds": data["days"] * 86_400, "limit": data["limit"]},
              query=bodies.TraceSearch, socket=MAIL_SOCKET),
    Operation("doctor_address", "GET", "/doctor/address/{address}", "Every step from an address to a mailbox, and the reply that a sender gets",
              "doctor-address", lambda path, data: {**path, **data}, query=bodies.AddressQuestion, socket=MAIL_SOCKET),
    Operation("doctor_login", "GET", "/doctor/login/{login}", "Why somebody can or cannot log in", "doctor-login",
              lambda path, data: {**path, **data}, query=bodies.LoginQuestion),
    Operation("overview", "GET", "/overview", "How this host is, and its figures of the last days", "overview", lambda path, data: data,
              query=bodies.Overview, socket=MAIL_SOCKET),
    Operation("journal", "GET", "/journal", "The latest changes of the directory", "journal", lambda path, data: data, query=bodies.Latest),
    Operation("undo", "POST", "/journal/{number}/undo", "Take one change back", "undo", lambda path, data: {"number": _number(path["number"])}),
)  # fmt: skip


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise msgspec.ValidationError(f"{text[:50]!r} is no number of the journal")
    return int(text)
