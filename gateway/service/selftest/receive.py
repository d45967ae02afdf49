"""Mail that others bring, and mail programs of people: qmail's TEST.receive."""

from __future__ import annotations

from gateway.service.selftest import clients
from gateway.service.selftest.bench import Bench, check_body
from gateway.service.selftest.case import Failed, case
from gateway.service.selftest.deliver import check_way_out, in_order, nobody

FAR = "somebody"


def _far(bench: Bench) -> str:
    return bench.names.outside(FAR)


@case("smtp", "receive", needs=("person",))
def smtp(bench: Bench) -> None:
    """A message forged by hand on the SMTP port, from the person to himself, arrives."""
    identity, message = bench.by_mx(bench.person.address, bench.person.address)
    bench.arrived(message, identity)


@case("remote-local", "receive", needs=("person",))
def remote_local(bench: Bench) -> None:
    """A message that another host brings arrives, with the return path that it had."""
    identity, message = bench.by_mx(bench.person.address, _far(bench))
    content = bench.arrived(message, identity)
    if not content.startswith(f"Return-Path: <{_far(bench)}>".encode()):
        raise Failed(f"Return-Path: <{_far(bench)}> stands in front", repr(content[:100]), f"gatepost trace {identity}")


@case("remote-error", "receive", needs=("person",))
def remote_error(bench: Bench) -> None:
    """Another host's message to nobody is refused in its session: no report is ever sent to a stranger."""
    recipient = nobody(bench)
    reply = bench.refusal(clients.mx(bench.settings), _far(bench), recipient)
    if not reply.startswith("550 5.1.1"):
        raise Failed(
            f"550 5.1.1 for RCPT TO:<{recipient}>", reply, f"gatepost doctor address {recipient}; gatepost status"
        )


@case("relay", "receive", needs=("person",))
def relay(bench: Bench) -> None:
    """Another host's message for outside is refused: this is no open relay."""
    recipient = bench.names.outside("victim")
    reply = bench.refusal(clients.mx(bench.settings), _far(bench), recipient)
    if not reply.startswith("5"):
        raise Failed(f"5yz for RCPT TO:<{recipient}>", reply, "smtp.open_relay in the configuration")


@case("remote-postmaster", "receive", needs=("entries",))
def remote_postmaster(bench: Bench) -> None:
    """PoStMaStEr gets mail from outside; so does postmaster without a domain (RFC 5321 4.5.1)."""
    identity, message = bench.by_mx(bench.names.address("PoStMaStEr"), _far(bench))
    bench.arrived(message, identity)
    reply = bench.refusal(clients.mx(bench.settings), _far(bench), "PoStMaStEr")
    if not reply.startswith("250"):
        raise Failed("250 for RCPT TO:<PoStMaStEr>", reply, "gatepost doctor address postmaster, or route.postmaster")


@case("user-agent", "receive", needs=("person",))
def user_agent(bench: Bench) -> None:
    """A mail program logs in, sends to a mailbox here, and reads it."""
    identity, message = bench.by_login(bench.person.address)
    bench.arrived(message, identity)


@case("user-agent-remote", "receive", needs=("entries", "sink"))
def user_agent_remote(bench: Bench) -> None:
    """A mail program logs in and sends to an address outside."""
    recipient = bench.names.outside("ua")
    check_way_out(bench, recipient)
    identity, message = bench.by_login(recipient)
    events = bench.done(identity, recipient, "the message is handed to the far end")
    in_order(events, "received", "queued", "accepted", "attempted")
    check_body(bench.at_far_end(message).content, "at the far end")
