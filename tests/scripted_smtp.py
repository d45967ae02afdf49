"""A mail host on loopback that says and does what a test wrote down, well-behaved or not."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

EHLO = ("PIPELINING", "SIZE 1000000", "8BITMIME", "ENHANCEDSTATUSCODES")


@dataclass
class ScriptedSmtp:
    """`replies` maps a verb, a whole command line, GREETING, CONTENT (behind the dot) or LAST (behind BDAT) to what is said.

    Instead of a reply: DROP closes the connection, SILENT says nothing, HALF half a reply and closes, SLOW an octet at a
    time, CUT-NEXT replies and closes.
    """

    replies: dict[str, str] = field(default_factory=dict)
    ehlo: tuple[str, ...] = EHLO
    context: ssl.SSLContext | None = None
    #: TLS from the first octet
    implicit: bool = False
    #: LMTP: one reply for each recipient that was taken
    lmtp: bool = False
    #: end the connection when so many octets of a message have come
    close_in_data: int = 0
    port: int = 0
    #: every line of every session, in order; "TLS <version> resumed?" where a handshake was made
    lines: list[str] = field(default_factory=list)
    sessions: int = 0
    open: int = 0
    #: (MAIL line, RCPT lines, octets as they came, without dots)
    messages: list[tuple[str, list[str], bytes]] = field(default_factory=list)
    peers: list[str] = field(default_factory=list)

    def verbs(self) -> list[str]:
        return [line.split(" ")[0] for line in self.lines]


class _Gone(Exception):
    pass


class _Session:
    def __init__(self, script: ScriptedSmtp, connection: socket.socket) -> None:
        self.script, self.connection = script, connection
        self.file = connection.makefile("rb")
        self.rcpts: list[str] = []
        self.mail = ""
        self.chunks = b""

    def say(self, what: str) -> None:
        if what == "DROP":
            raise _Gone
        if what == "SILENT":
            return
        if what == "HALF":
            self.connection.sendall(b"25")
            raise _Gone
        if what.startswith("SLOW "):
            for octet in f"{what[5:]}\r\n".encode():
                self.connection.sendall(bytes((octet,)))
                time.sleep(0.005)
            return
        if what.startswith("CUT-NEXT "):
            self.connection.sendall(f"{what[9:]}\r\n".encode())
            raise _Gone
        self.connection.sendall(f"{what}\r\n".encode())

    def answer(self, line: str, default: str) -> str:
        replies = self.script.replies
        return replies.get(line, replies.get(line.split(" ")[0].upper(), default))

    def run(self) -> None:
        if self.script.implicit:
            self.secure()
        self.say(self.script.replies.get("GREETING", "220 far.example ready"))
        while line := self.file.readline():
            text = line.decode().rstrip("\r\n")
            self.script.lines.append(text)
            verb = text.split(" ")[0].upper()
            if verb in ("EHLO", "LHLO"):
                words = [
                    word
                    for word in self.script.ehlo
                    if word != "STARTTLS" or not isinstance(self.connection, ssl.SSLSocket)
                ]
                lines = ["far.example", *words]
                default = "\r\n".join(f"250{'-' if n < len(lines) - 1 else ' '}{word}" for n, word in enumerate(lines))
                self.say(self.answer(text, default))
            elif verb == "STARTTLS":
                self.say(said := self.answer(text, "220 go ahead"))
                if said.startswith("220"):
                    self.secure()
            elif verb == "MAIL":
                said = self.answer(text, "250 2.1.0 ok")
                if said.startswith("250"):
                    self.mail, self.rcpts = text, []
                self.say(said)
            elif verb == "RCPT":
                said = self.answer(text, "250 2.1.5 ok" if self.mail else "503 5.5.1 MAIL first")
                if said.startswith("250"):
                    self.rcpts.append(text)
                self.say(said)
            elif verb == "DATA":
                said = self.answer(text, "354 go" if self.rcpts else "554 5.5.1 no valid recipients")
                self.say(said)
                if said.startswith("354"):
                    self.take(self.data(), "CONTENT")
            elif verb == "BDAT":
                octets = self.file.read(int(text.split(" ")[1]))
                self.chunks += octets
                if text.upper().endswith(" LAST"):
                    content, self.chunks = self.chunks, b""
                    self.take(content, "LAST")
                else:
                    self.say(self.answer(text, "250 2.0.0 chunk"))
            elif verb == "RSET":
                self.mail, self.rcpts = "", []
                self.say(self.answer(text, "250 2.0.0 reset"))
            elif verb == "QUIT":
                self.say(self.answer(text, "221 2.0.0 bye"))
                return
            else:
                self.say(self.answer(text, "250 2.0.0 ok"))

    def secure(self) -> None:
        assert self.script.context is not None
        self.file.close()
        self.connection = self.script.context.wrap_socket(self.connection, server_side=True)
        self.script.lines.append(
            f"TLS {self.connection.version()}{' resumed' if self.connection.session_reused else ''}"
        )
        self.file = self.connection.makefile("rb")

    def data(self) -> bytes:
        content = b""
        while (line := self.file.readline()) != b".\r\n":
            if not line:
                raise _Gone
            content += line[1:] if line.startswith(b".") else line
            if self.script.close_in_data and len(content) > self.script.close_in_data:
                self.say(self.script.replies.get("CONTENT", "DROP"))
                raise _Gone
        return content

    def take(self, content: bytes, key: str) -> None:
        said = self.script.replies.get(key, "250 2.0.0 kept as 1")
        if said.startswith(("250", "DROP", "CUT-NEXT 250", "SLOW 250")):
            self.script.messages.append((self.mail, self.rcpts, content))
        for rcpt in self.rcpts if self.script.lmtp else ["once"]:
            self.say(self.script.replies.get(f"{key} {rcpt}", said))
        self.mail, self.rcpts = "", []

    def close(self) -> None:
        self.file.close()
        self.connection.close()


def _one(script: ScriptedSmtp, connection: socket.socket) -> None:
    script.open += 1
    session = None
    try:
        connection.settimeout(20)
        session = _Session(script, connection)
        session.run()
    except (OSError, _Gone, ValueError):
        pass
    finally:
        script.open -= 1
        if session is not None:
            session.close()
        connection.close()


@contextmanager
def scripted_smtp(address: str = "127.0.0.1", port: int = 0, **more: object) -> Iterator[ScriptedSmtp]:
    """The host while the block runs."""
    script = ScriptedSmtp(**more)  # type: ignore[arg-type]
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, port), family=family) as server:
        script.port = server.getsockname()[1]
        stop = threading.Event()
        threads: list[threading.Thread] = []

        def accept() -> None:
            while True:
                try:
                    connection, peer = server.accept()
                except OSError:
                    return
                if stop.is_set():
                    connection.close()
                    return
                script.sessions += 1
                script.peers.append(peer[0])
                thread = threading.Thread(target=_one, args=(script, connection), daemon=True)
                threads.append(thread)
                thread.start()

        accepting = threading.Thread(target=accept, daemon=True)
        accepting.start()
        try:
            yield script
        finally:
            stop.set()
            with socket.create_connection((address, script.port), timeout=5):
                pass
            accepting.join(5)
            for thread in threads:
                thread.join(5)
