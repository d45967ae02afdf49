"""A name server on loopback, over UDP and TCP, that answers what a test wrote down."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

SOA = "ns.test. admin.test. 1 3600 600 86400 60"


@dataclass
class ScriptedDns:
    """`zone` maps "name TYPE" to texts of records; a name without any is NXDOMAIN."""

    zone: dict[str, list[str]] = field(default_factory=dict)
    port: int = 0
    #: answers with AD set, as a resolver that has validated them
    ad: bool = False
    ttl: int = 60
    #: what goes wrong: servfail, refused, silent, garbage, bare (no SOA), cut (UDP truncated), rootless, no-edns, formerr
    faults: set[str] = field(default_factory=set)
    #: names that are answered SERVFAIL
    dead: set[str] = field(default_factory=set)
    delay: float = 0.0
    #: every question that came, "name TYPE" with "tcp " before those over TCP
    questions: list[str] = field(default_factory=list)

    @property
    def server(self) -> str:
        return f"127.0.0.1:{self.port}"

    def answer(self, wire: bytes, *, tcp: bool) -> bytes | None:
        question = dns.message.from_wire(wire)
        name = question.question[0].name
        kind = dns.rdatatype.to_text(question.question[0].rdtype)
        label = name.to_text(omit_final_dot=True).lower()
        self.questions.append(f"{'tcp ' if tcp else ''}{label} {kind}")
        if self.delay:
            time.sleep(self.delay)
        if "silent" in self.faults:
            return None
        if "garbage" in self.faults:
            return wire[:2] + b"\x80garbage"
        reply = dns.message.make_response(question, recursion_available=True)
        if "formerr" in self.faults and question.edns >= 0:
            reply.set_rcode(dns.rcode.FORMERR)
            return reply.to_wire()
        for fault, code in (("servfail", dns.rcode.SERVFAIL), ("refused", dns.rcode.REFUSED)):
            if fault in self.faults or (fault == "servfail" and label in self.dead):
                reply.set_rcode(code)
                return reply.to_wire()
        if self.ad:
            reply.flags |= dns.flags.AD
        if "cut" in self.faults and not tcp:
            reply.flags |= dns.flags.TC
            return reply.to_wire()
        if label == ".":
            if "rootless" not in self.faults:
                reply.answer.append(dns.rrset.from_text(".", 60, "IN", "NS", "ns.test."))
            return reply.to_wire()
        for _ in range(10):
            if f"{label} CNAME" not in self.zone:
                break
            target = self.zone[f"{label} CNAME"][0]
            reply.answer.append(dns.rrset.from_text(label + ".", self.ttl, "IN", "CNAME", target))
            label = target.removesuffix(".")
        texts = self.zone.get(f"{label} {kind}")
        if texts:
            reply.answer.append(dns.rrset.from_text(label + ".", self.ttl, "IN", kind, *texts))
            return reply.to_wire(max_size=65535 if tcp else 0)
        if not any(key.partition(" ")[0] == label or key.partition(" ")[0].endswith("." + label) for key in self.zone):
            reply.set_rcode(dns.rcode.NXDOMAIN)
        if "bare" not in self.faults:
            reply.authority.append(dns.rrset.from_text(label.rpartition(".")[2] + ".", 60, "IN", "SOA", SOA))
        return reply.to_wire()


def _read(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size and (more := connection.recv(size - len(data))):
        data += more
    return data


def _serve_udp(sock: socket.socket, script: ScriptedDns) -> None:
    while True:
        try:
            wire, client = sock.recvfrom(4096)
        except OSError:
            return
        if not wire:
            return
        reply = script.answer(wire, tcp=False)
        if reply is not None:
            sock.sendto(reply, client)


def _serve_tcp(sock: socket.socket, script: ScriptedDns) -> None:
    while True:
        try:
            connection, _ = sock.accept()
        except OSError:
            return
        with connection:
            connection.settimeout(5)
            size = _read(connection, 2)
            if len(size) < 2:
                return  # the test is over
            reply = script.answer(_read(connection, struct.unpack("!H", size)[0]), tcp=True)
            if reply is not None:
                connection.sendall(struct.pack("!H", len(reply)) + reply)


@contextmanager
def scripted_dns(zone: dict[str, list[str]] | None = None, **more: object) -> Iterator[ScriptedDns]:
    """The server while the block runs."""
    script = ScriptedDns(zone or {}, **more)  # type: ignore[arg-type]
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    tcp = socket.socket()
    for _ in range(50):
        udp.bind(("127.0.0.1", 0))
        script.port = udp.getsockname()[1]
        try:
            tcp.bind(("127.0.0.1", script.port))
            break
        except OSError:
            udp.close()
            udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    tcp.listen(16)
    threads = [
        threading.Thread(target=_serve_udp, args=(udp, script), daemon=True),
        threading.Thread(target=_serve_tcp, args=(tcp, script), daemon=True),
    ]
    for thread in threads:
        thread.start()
    try:
        yield script
    finally:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", ("127.0.0.1", script.port))
        with socket.create_connection(("127.0.0.1", script.port), timeout=5):
            pass
        for thread in threads:
            thread.join(10)
        udp.close()
        tcp.close()
