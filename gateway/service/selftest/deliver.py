"""Mail that programs of this host send: qmail's TEST.deliver."""

from __future__ import annotations

import os
import pwd
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from directory.model import Deferred
from gateway.control.client import ControlError, call
from gateway.route.next_hop import next_hop
from gateway.route.plan import Remote
from gateway.service.identity import Identity, identities
from gateway.service.local_copy import local_copy
from gateway.service.mail_control import MAIL_SOCKET
from gateway.service.selftest import clients
from gateway.service.selftest.bench import Bench, check_body
from gateway.service.selftest.case import Failed, Skipped, case
from gateway.service.selftest.entries import PROGRAM
from gateway.service.selftest.sink import HOST
from gateway.service.selftest.tail import Event, told

INJECT_SECONDS = 30.0
MAX_DOMAINS = 50
NEVER = 100  # exit code of inject
_PRINTED = re.compile(r"exit code 100: ([\d ]+)")


def in_order(events: list[Event], *wanted: str) -> None:
    """Raises Failed unless these events are there in this order."""
    place = 0
    for event in events:
        if place < len(wanted) and event["event"] == wanted[place]:
            place += 1
    if place < len(wanted):
        raise Failed(f"{', then '.join(wanted)}", told(events), f"gatepost trace {events[0].get('id', '')}")


def inject(bench: Bench, recipient: str, content: bytes) -> tuple[int, str]:
    """`gatepost inject` as a program of this host calls it; exit code and what it printed."""
    command = [sys.executable, "-m", "gateway", "inject", "--config", str(bench.configuration)]
    try:
        done = subprocess.run(
            [*command, "-f", bench.person.address, recipient],
            input=content.replace(b"\r\n", b"\n"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            timeout=INJECT_SECONDS, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise Failed(
            f"gatepost inject ends within {INJECT_SECONDS:g} s", "it does not", "gatepost ps, and the log"
        ) from None
    return done.returncode, " ".join(done.stdout.decode("utf-8", "replace").split())


@case("local", "deliver", needs=("person",))
def local(bench: Bench) -> None:
    """A message by `gatepost inject` to a mailbox here, read back by IMAP."""
    message = bench.message(bench.person.address)
    code, said = inject(bench, bench.person.address, message.content)
    if code != 0:
        raise Failed("gatepost inject ends with 0", f"exit code {code}: {said}", "gatepost status")
    content = bench.read(
        "the message is in the mailbox once", f"{message.token}@{bench.names.domain}", "SUBJECT", message.token
    )
    check_body(content, "in the mailbox")
    if f"uid-{os.getuid()}".encode() not in content:
        raise Failed(
            "Received tells the uid of who handed it in", "it does not", "is another program behind local.sock?"
        )


@case("steps", "deliver", needs=("person",))
def steps(bench: Bench) -> None:
    """The steps of a message in the order in which they have to be: here, written down, then taken."""
    identity, _ = bench.by_host(bench.person.address)
    events = bench.story(
        identity, lambda events: any(event["event"] == "accepted" for event in events), "the message is accepted"
    )
    in_order(events, "received", "delivered", "accepted")
    first = events[0]
    wrong = [
        what for what, is_right in (
            ("return path", first.get("return_path") == f"<{bench.person.address}>"),
            ("size", int(first.get("size", 0)) > 0),
            ("way in", first.get("service") == "local"),
        ) if not is_right
    ]  # fmt: skip
    if wrong:
        raise Failed(f"the first step tells the {', the '.join(wrong)}", str(first), f"gatepost trace {identity}")


def nobody(bench: Bench) -> str:
    """An address of ours that nobody has. Raises Skipped."""
    if bench.entries is not None:
        return bench.names.address("nobody")
    domain = bench.person.address.rpartition("@")[2]
    if bench.person.domain_has_catch_all:
        raise Skipped(f"{domain} has a catch-all: every address there is somebody's")
    return f"{bench.names.run}@{domain}"


@case("error", "deliver", needs=("person",))
def error(bench: Bench) -> None:
    """A message to nobody is refused while the program that sends it still runs."""
    recipient = nobody(bench)
    code, said = inject(bench, recipient, bench.message(recipient).content)
    if code != NEVER or "5.1.1" not in said:
        raise Failed(
            f"inject ends with {NEVER} and 550 5.1.1", f"exit code {code}: {said}",
            f"gatepost doctor address {recipient}; gatepost directory status",
        )  # fmt: skip


@case("bounce", "deliver", needs=("alias",))
def bounce(bench: Bench) -> None:
    """What fails behind an address that was taken is reported to the sender, from <>."""
    identity, message = bench.by_host(bench.names.address("error"))
    events = bench.done(identity, bench.person.address, "a report is delivered to the sender")
    in_order(events, "received", "accepted", "reported", "delivered", "attempted")
    content = bench.read(
        "the report is in the sender's mailbox", identity,
        "TEXT", message.token, "HEADER", "Content-Type", "delivery-status",
    )  # fmt: skip
    for wanted in (b"Return-Path: <>", bench.names.address("nobody").encode(), b"5.1.1"):
        if wanted not in content:
            raise Failed(f"the report has {wanted.decode()}", "it has not", f"gatepost trace {identity}")


def check_way_out(bench: Bench, recipient: str) -> None:
    """Raises Skipped where the configuration sends this mail somewhere else than to our far end."""
    try:
        with local_copy(bench.settings) as view:
            separators = bench.settings.route.extension_separator
            hop = next_hop(Remote(recipient), bench.person.address, view, bench.settings.relay, separators)
    except Deferred as trouble:
        raise Skipped(f"there is no way out for mail to {recipient}: {trouble}") from None
    if (hop.host, hop.port) != (HOST, bench.sink.port):
        raise Skipped(f"relay.routes sends it to {hop.host}:{hop.port}, not to the far end of the self-test")
    if hop.tls in ("must", "verify"):
        raise Skipped("relay.tls demands TLS of every host, which the far end of the self-test has not")


@case("remote", "deliver", needs=("entries", "sink"))
def remote(bench: Bench) -> None:
    """A message to an address outside goes through the queue to the far end."""
    recipient = bench.names.outside("friend")
    check_way_out(bench, recipient)
    identity, message = bench.by_host(recipient)
    events = bench.done(identity, recipient, "the message is handed to the far end")
    in_order(events, "received", "queued", "accepted", "attempted")
    kept = bench.at_far_end(message)
    check_body(kept.content, "at the far end")
    if (kept.return_path, kept.recipients) != (bench.person.address, (recipient,)):
        raise Failed(
            f"from {bench.person.address} to {recipient}", f"from {kept.return_path} to {' '.join(kept.recipients)}",
            f"gatepost trace {identity}",
        )  # fmt: skip


@case("remote-refused", "deliver", needs=("entries", "sink"))
def remote_refused(bench: Bench) -> None:
    """What the far end refuses for good is reported to the sender, with its words."""
    recipient = bench.names.outside("refused")
    check_way_out(bench, recipient)
    identity, message = bench.by_host(recipient)
    bench.done(identity, bench.person.address, "a report is delivered to the sender")
    content = bench.read(
        "the report is in the sender's mailbox", identity,
        "TEXT", message.token, "HEADER", "Content-Type", "delivery-status",
    )  # fmt: skip
    if b"nobody of this name at the far end" not in content:
        raise Failed("the report has the far end's words", "it has not", f"gatepost trace {identity}")


@case("remote-later", "deliver", needs=("entries", "sink"))
def remote_later(bench: Bench) -> None:
    """What the far end does not take now stays in the queue, and goes when it is tried again."""
    recipient = bench.names.outside("later")
    check_way_out(bench, recipient)
    identity, message = bench.by_host(recipient)
    bench.story(
        identity,
        lambda events: any(event.get("state") == "waiting" and "451" in event.get("reply", "") for event in events),
        "the queue keeps a message that the far end answers with 451",
    )

    def again() -> bool:
        with suppress(ControlError):  # it is being tried at this moment
            call(
                Path(bench.settings.run_dir) / MAIL_SOCKET, "queue-change", answer_within=bench.left(),
                what="retry", message=identity,
            )  # fmt: skip
            return True
        return False

    bench.until(again)
    bench.done(identity, recipient, "the message is handed to the far end at the second attempt")
    bench.at_far_end(message)


@case("postmaster", "deliver", needs=("entries",))
def postmaster(bench: Bench) -> str:
    """postmaster gets mail in any case of letters; every domain of ours has one."""
    for local_part in ("postmaster", "POSTMASTER", "PostMaster"):
        identity, message = bench.by_host(bench.names.address(local_part))
        bench.arrived(message, identity)
    with local_copy(bench.settings) as view:
        domains = [each.name for each in view.domains() if each.kind == "local" and each.status == "active"]
    listener = clients.local(bench.settings)
    for domain in domains[:MAX_DOMAINS]:
        reply = bench.refusal(listener, bench.person.address, f"postmaster@{domain}")
        if not reply.startswith("250"):
            raise Failed(
                f"somebody reads postmaster@{domain} (RFC 5321 4.5.1)", reply,
                f"gatepost alias add postmaster@{domain} LOGIN, or route.postmaster",
            )  # fmt: skip
    return f"{len(domains[:MAX_DOMAINS])} domains asked"


@case("doublebounce", "deliver", needs=("alias",))
def doublebounce(bench: Bench) -> None:
    """A report that fails goes to the postmaster, and there it ends."""
    identity, message = bench.by_host(bench.names.address("error"), bench.names.address("nobody"))
    recipient = bench.names.address("postmaster")
    events = bench.done(identity, recipient, f"the double bounce is delivered to {recipient}")
    in_order(events, "reported", "double-bounce", "delivered", "attempted")
    uid = next(str(event["uid"]) for event in reversed(events) if event["event"] == "delivered")
    content = bench.read("the double bounce is in the postmaster's mailbox", identity, "UID", uid)
    if message.token.encode() not in content or b"Return-Path: <>" not in content:
        raise Failed("it is about the message, from <>", repr(content[:300]), f"gatepost trace {identity}")


def _groups_of(identity: Identity) -> set[int]:
    """The group of a user and those that the system's files give him."""
    groups = {identity.gid}
    with suppress(KeyError):
        groups.update(os.getgrouplist(pwd.getpwuid(identity.uid).pw_name, identity.gid))
    return groups


@case("program", "deliver", needs=("entries",))
def program(bench: Bench) -> str:
    """A delivery program runs as the user for it, in that user's groups only."""
    if PROGRAM not in bench.settings.programs:
        raise Skipped(f"the configuration has no programs.{PROGRAM}: {{argv: [/bin/sh, -c, 'id -u; id -G; exit 100']}}")
    separators = bench.settings.route.extension_separator
    if not separators:
        raise Skipped('route.extension_separator is "": addresses have no extensions that could name a program')
    identity, _ = bench.by_host(bench.names.address(f"me{separators[0]}program"))
    events = bench.story(
        identity,
        lambda events: any(event["event"] == "attempted" and event.get("reply") for event in events),
        "the program is run and ends with 100",
    )
    reply = next(event["reply"] for event in events if event["event"] == "attempted")
    printed = _PRINTED.search(reply)
    if printed is None:
        raise Failed(
            f"programs.{PROGRAM} prints its uid and its groups and ends with 100", reply,
            "gatepost status; gatepost ps (the process `programs`)",
        )  # fmt: skip
    uid, *groups = map(int, printed[1].split())
    wanted = identities(bench.settings.run_as).programs
    if uid != wanted.uid:
        raise Failed(f"it runs as uid {wanted.uid}", f"uid {uid}", "run_as.programs; the service has to start as root")
    more = set(groups) - _groups_of(wanted)
    if more:
        raise Failed(
            f"it is in the groups of uid {uid} only: {' '.join(map(str, sorted(_groups_of(wanted))))}",
            f"also in {' '.join(map(str, sorted(more)))}", "restart the service from a clean session (systemd)",
        )  # fmt: skip
    return f"uid {uid}, groups {' '.join(map(str, groups))}"
