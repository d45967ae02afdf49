"""Two hundred malformed messages: every item of FETCH is answered, the same each time, in bounded time and memory, and so
they are through SMTP and LMTP; a line of 100 MB that another program left is read, too."""

from __future__ import annotations

import hashlib
import os
import re
import smtplib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from conftest import RunningDemo, eventually
from malformed_mail import COUNT, malformed
from plain_imap import PlainImap, connected

pytestmark = pytest.mark.xdist_group("mail-programs")

SECONDS = 100.0  # for one answer, which takes less than one
#: what one process may need for all of it, a hundred times the scanner's limits
MEMORY_KIB = 600 * 1024
ITEMS = (
    "FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE BODY BODY.PEEK[HEADER] BODY.PEEK[TEXT] BODY.PEEK[1] BODY.PEEK[1.MIME] "
    "BODY.PEEK[1.HEADER] BODY.PEEK[1.TEXT] BODY.PEEK[2] BODY.PEEK[1.1.1.1.1.1] BODY.PEEK[HEADER.FIELDS (SUBJECT FROM TO)] "
    "BODY.PEEK[HEADER.FIELDS.NOT (SUBJECT)] BODY.PEEK[]<1000.1000> BODY.PEEK[] RFC822.HEADER BINARY.SIZE[2] PREVIEW EMAILID SAVEDATE"
).replace(" ", ",").replace("(SUBJECT,FROM,TO)", "(SUBJECT FROM TO)").replace("FIELDS,", "FIELDS ").replace("NOT,", "NOT ")  # fmt: skip


def _processes(demo: RunningDemo) -> list[Path]:
    """The /proc folders of the demo's processes."""
    parents: dict[int, int] = {}
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            found = re.search(r"^PPid:\s*(\d+)", status.read_text(), re.MULTILINE)
        except OSError:
            continue
        if found:
            parents[int(status.parent.name)] = int(found[1])
    ours = {int(Path(demo.facts["pid_file"]).read_text())}
    while more := {pid for pid, parent in parents.items() if parent in ours} - ours:
        ours |= more
    return [Path("/proc") / str(pid) for pid in ours]


def _most_memory(demo: RunningDemo) -> int:
    """KiB: the peak of the demo's largest process."""
    peaks = [0]
    for folder in _processes(demo):
        try:
            found = re.search(r"^VmHWM:\s*(\d+)", (folder / "status").read_text(), re.MULTILINE)
        except OSError:
            continue
        peaks.append(int(found[1]) if found else 0)
    return max(peaks)


def _everything(session: PlainImap, count: int) -> dict[str, bytes]:
    """What each question about the mailbox is answered, as digests: the answers are long."""
    found: dict[str, bytes] = {}

    def ask(name: str, command: str) -> None:
        answer = session.command(command.encode())
        assert answer.said.startswith((b"OK", b"NO [UNKNOWN-CTE]")), (command, answer.said)
        found[name] = hashlib.sha256(b"\n".join(answer.lines)).digest()

    for uid in range(1, count + 1):
        ask(f"FETCH {uid}", f"UID FETCH {uid} ({ITEMS.replace(',', ' ')})")
        ask(f"BINARY {uid}", f"UID FETCH {uid} (BINARY.PEEK[1] BINARY.SIZE[1] BINARY.PEEK[])")
    for keys in ("TEXT inmost", "BODY x", "SUBJECT x", "FROM a@", "HEADER Subject x", "SENTSINCE 1-Jan-2020"):
        ask(f"SEARCH {keys}", f"UID SEARCH {keys}")
    for keys in ("SUBJECT", "DATE FROM", "DISPLAYTO SIZE"):
        ask(f"SORT {keys}", f"UID SORT ({keys}) UTF-8 ALL")
    for algorithm in ("REFERENCES", "REFS", "ORDEREDSUBJECT"):
        ask(f"THREAD {algorithm}", f"UID THREAD {algorithm} UTF-8 ALL")
    return found


def _is_quiet(demo: RunningDemo) -> None:
    """Nothing went wrong in a way that nobody thought of."""
    log = "".join(path.read_text(errors="replace") for path in demo.folder.rglob("*.log"))
    assert log
    assert "Traceback" not in log
    assert "SERVERBUG" not in log


@contextmanager
def _session(demo: RunningDemo, number: int) -> Iterator[PlainImap]:
    account = demo.facts["accounts"][number]
    with connected(demo.port("imap"), account["login"], account["password"], SECONDS) as session:
        yield session


@pytest.mark.timeout(600)
def test_appended(busy: RunningDemo) -> None:
    with _session(busy, 1) as session, _session(busy, 1) as other:  # perhaps in different processes
        _append_and_read(session, other)
    assert _most_memory(busy) < MEMORY_KIB
    _is_quiet(busy)


def _append_and_read(session: PlainImap, other: PlainImap) -> None:
    session.good(b"CREATE Malformed")
    taken: list[bytes] = []
    for name, text in malformed().items():
        octets = re.sub(rb"(?<!\r)\r*\n", b"\r\n", text)  # of several CRs before a LF one stays
        answer = session.command(b"APPEND Malformed %", re.sub(rb"(?<!\r)\n", b"\r\n", text))
        if b"\0" in octets or not octets:
            # RFC 9051 9, literal: no NUL, unless as literal8; an APPEND of nothing is a cancelled one (RFC 3502 6.3.11)
            assert answer.said.startswith((b"NO", b"BAD")), name
        else:
            assert answer.is_ok, (name, answer.said)
            taken.append(octets)
    assert len(taken) > 0.9 * COUNT
    session.good(b"SELECT Malformed")
    found = session.fetch(b"UID FETCH 1:* (RFC822.SIZE BODY.PEEK[])")
    for octets, values in zip(taken, found.values(), strict=True):
        assert values == {b"RFC822.SIZE": len(octets), b"BODY[]": octets}
    first = _everything(session, len(taken))
    other.good(b"EXAMINE Malformed")
    assert _everything(other, len(taken)) == first
    other.good(b"UNSELECT")
    session.good(b"DELETE Malformed")


def _sent(sender: smtplib.SMTP, recipient: str, octets: bytes) -> tuple[int, bytes]:
    """The answer to a message, sent as it is but for dots."""
    code, said = sender.mail("a@elsewhere.example")
    assert code == 250, said
    code, said = sender.rcpt(recipient)
    assert code == 250, said
    code, said = sender.docmd("DATA")
    assert code == 354, said
    sender.send(re.sub(rb"(?m)^\.", b"..", octets) + (b"" if octets.endswith(b"\r\n") else b"\r\n") + b".\r\n")
    return sender.getreply()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("service", ["lmtp", "mx"])
def test_sent(busy: RunningDemo, service: str) -> None:
    number = 2 if service == "lmtp" else 3
    with _session(busy, number) as session:
        _send_and_read(busy, service, session, busy.facts["accounts"][number]["addresses"][0])
    assert _most_memory(busy) < MEMORY_KIB
    _is_quiet(busy)


def _send_and_read(busy: RunningDemo, service: str, session: PlainImap, recipient: str) -> None:
    before = int(re.search(rb"MESSAGES (\d+)", session.good(b"STATUS INBOX (MESSAGES)").lines[0])[1])  # type: ignore[index]
    client = smtplib.LMTP if service == "lmtp" else smtplib.SMTP
    taken = 0
    with client("127.0.0.1", busy.port(service)) as sender:
        assert sender.sock is not None
        sender.sock.settimeout(SECONDS)
        sender.ehlo("elsewhere.example")
        for name, text in malformed().items():
            code, said = _sent(sender, recipient, re.sub(rb"(?<!\r)\n", b"\r\n", text))
            # taken, or refused for good for what it is: trying again would not make it better
            assert code in (250, 552, 554), (name, code, said)
            assert code == 250 or b"line" in said or b"header" in said, (name, code, said)
            taken += code == 250
    assert taken > 0.8 * COUNT
    eventually(lambda: b"MESSAGES %d" % (before + taken) in session.good(b"STATUS INBOX (MESSAGES)").lines[0], SECONDS)
    session.good(b"SELECT INBOX")
    first = _everything(session, before + taken)
    assert len(first) > taken
    session.good(rb"STORE 1:* +FLAGS.SILENT (\Deleted)")
    session.good(b"EXPUNGE")


@pytest.mark.timeout(600)
def test_a_line_of_100_megabytes(busy: RunningDemo) -> None:
    with _session(busy, 4) as session:
        _read_a_long_line(busy, session, Path(busy.facts["accounts"][4]["maildir"]) / "new")
    assert _most_memory(busy) < MEMORY_KIB
    _is_quiet(busy)


def _read_a_long_line(busy: RunningDemo, session: PlainImap, new: Path) -> None:
    header = b"From: a@example.com\nSubject: a long line\n\n"
    size = 100 * 1024 * 1024
    assert session.command(b"APPEND INBOX {%d}" % size).said.startswith(b"NO [TOOBIG]")
    with smtplib.SMTP("127.0.0.1", busy.port("mx")) as sender:
        sender.ehlo("elsewhere.example")
        assert sender.mail("a@elsewhere.example", [f"size={size}"])[0] == 552
    file = new.parent / "tmp" / "1.long.elsewhere"
    with file.open("wb") as out:
        out.write(header)
        for _ in range(100):
            out.write(b"x" * (1 << 20))
    os.utime(file)
    file.rename(new / file.name)
    whole = len(header) + header.count(b"\n") + size
    session.good(b"SELECT INBOX")
    eventually(lambda: session.good(b"NOOP") and _long(session), SECONDS)
    uid = _long(session)
    command = (
        b"UID FETCH %d (RFC822.SIZE BODYSTRUCTURE ENVELOPE PREVIEW BODY.PEEK[]<104850000.100000> BODY.PEEK[TEXT]<50000000.10>)"
        % uid
    )
    for _ in range(2):
        found: dict[bytes, Any] = session.fetch(command)[uid]
        assert found[b"RFC822.SIZE"] == whole
        assert found[b"BODYSTRUCTURE"][6:8] == [size, 0]
        assert found[b"BODY[]<104850000>"] == b"x" * (whole - 104_850_000)
        assert found[b"BODY[TEXT]<50000000>"] == b"x" * 10
    assert session.good(b'UID SEARCH BODY "no such word" UID %d' % uid).only(b"SEARCH") == [b""]
    session.good(rb"UID STORE %d +FLAGS.SILENT (\Deleted)" % uid)
    session.good(b"EXPUNGE")


def _long(session: PlainImap) -> int:
    """The UID of the only message above 90 MB, 0 when there is none yet."""
    found = session.good(b"UID SEARCH LARGER 90000000").only(b"SEARCH")[0]
    return int(found or 0)
