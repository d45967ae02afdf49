"""S4-S6, S11, S15-S17, S20: the store: Maildirs of many people, of several hosts, through kill -9 and cut connections."""

from __future__ import annotations

import imaplib
import os
import re
import signal
import smtplib
import socket
import struct
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from pathlib import Path
from typing import Any

import delivery_child
import pytest
import yaml
from conftest import GATEPOST, RunningDemo, eventually
from letters import FOUNDING, SENDER, Person, facts, is_ready, make_person, post, served

from directory.model import Account
from gateway.service.overview import read
from gateway.store import markers
from gateway.store.layout import path_variables
from gateway.store.settings import Volume

pytestmark = FOUNDING
PEOPLE = 50_000
MOST_ENTRIES = 300  # two levels of 256 folders, and chance
MESSAGES = 15
CALLS = "openat,fcntl,flock,link,linkat,rename,renameat,renameat2,fsync,fdatasync"
LOCK = re.compile(r"(?:flock|fcntl)\(\d+<([^>]*)>, (?:F_(?:OFD_)?SETLKW?|LOCK_)")


def test_s04_no_folder_is_large_with_fifty_thousand_people(tmp_path: Path) -> None:
    template = Volume.__struct_defaults__[1]
    people = [f"directory:{uuid.uuid5(uuid.NAMESPACE_OID, str(number))}" for number in range(PEOPLE)]
    entries: dict[str, set[str]] = {}
    for number, holder in enumerate(people):
        path = template.format(**path_variables(holder, f"u{number}@example.com"))
        while path:
            path, _, name = path.rpartition("/")
            entries.setdefault(path, set()).add(name)
    sizes = {folder: len(names) for folder, names in entries.items()}
    print(f"\n{PEOPLE} people, {len(sizes)} folders, {max(sizes.values())} entries in the largest")
    assert max(sizes.values()) <= MOST_ENTRIES
    # and that is where stores are made
    volume = tmp_path / "volume"
    volume.mkdir()
    markers.prepare_volume(volume)
    stores = delivery_child.open_stores(volume, None)
    for number, holder in enumerate(people[:20]):
        address = f"u{number}@example.com"
        made = stores.open_without_index(Account(id=holder, dn=f"uid=u{number}", addresses=(address,)))
        assert Path(made) == volume / template.format(**path_variables(holder, address))
        assert (Path(made) / "new").is_dir()
    stores.close()


@pytest.fixture(scope="module")
def traces(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """Two hosts that deliver at once into one Maildir, each with every call it makes: the volume, and calls by host."""
    folder = tmp_path_factory.mktemp("hosts")
    volume = folder / "volume"
    volume.mkdir()
    markers.prepare_volume(volume)
    first = delivery_child.open_stores(volume, folder / "index")
    first.open(delivery_child.ANN)  # so that both find a store
    first.close()
    children = {}
    for host, index in (("one", folder / "index"), ("two", "-")):
        command = ["strace", "-f", "-y", "-s", "300", "-e", f"trace={CALLS}", "-o", folder / host, sys.executable]
        command += [delivery_child.__file__, volume, index, MESSAGES]
        if os.getuid() == 0:  # a host name of its own, as it stands in the names of files
            command = [
                "unshare",
                "-u",
                "sh",
                "-c",
                f'hostname {host}; exec "$@"',
                "sh",
                *command,
            ]
        children[host] = subprocess.Popen(
            [str(word) for word in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONPATH": os.getcwd()},
        )  # fmt: skip
    for child in children.values():
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    for child in children.values():
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    for child in children.values():
        child.communicate(timeout=60)
        assert child.returncode == 0
    return volume, {host: (folder / host).read_text(errors="replace") for host in children}


def test_s05_delivery_from_two_hosts_without_locks(traces: tuple[Path, dict[str, str]]) -> None:
    volume, calls = traces
    files = [path for place in ("new", "cur") for path in volume.rglob(f"{place}/*")]
    found = Counter(path.read_bytes() for path in files)
    assert found == Counter(delivery_child.body(host, n) for host in ("indexed", "alone") for n in range(MESSAGES))
    if os.getuid() == 0:
        assert {re.split(r"[.,:]", path.name)[2] for path in files} == {"one", "two"}
    locked = {host: LOCK.findall(text) for host, text in calls.items()}
    assert locked["one"], "the index on the local disk is locked: a lock would be seen"
    for paths in locked.values():
        assert [path for path in paths if path.startswith(str(volume))] == []


def test_s11_each_message_is_a_file_that_is_on_disk_before_it_has_its_name(traces: tuple[Path, dict[str, str]]) -> None:
    volume, calls = traces
    for host, place in (("one", "cur"), ("two", "new")):
        steps = [
            (match[1], match[2])
            for match in re.finditer(
                r"(fsync|fdatasync|rename|link)\((?:\d+<|(?:AT_FDCWD[^\"]*)?\")([^\">]*)", calls[host]
            )
            if match[2].startswith(str(volume))
        ]
        moves = [number for number, (call, path) in enumerate(steps) if call in ("rename", "link") and "/tmp/" in path]
        assert len(moves) == MESSAGES, host
        for number in moves:
            written = steps[number][1]
            before = [path for call, path in steps[:number] if call in ("fsync", "fdatasync")]
            assert written in before, f"{written} had its name before it was on disk"
            behind = next(path for call, path in steps[number + 1 :] if call in ("fsync", "fdatasync"))
            assert behind.endswith(f"/{place}"), "then the folder with the name"


def test_s20_hosts_share_a_volume_of_two_levels(founded: RunningDemo, tmp_path: Path) -> None:
    person = make_person(founded, "shared20")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings: dict[str, Any] = yaml.safe_load(Path(founded.facts["config_file"]).read_text())
    settings |= {
        "role": "deliver",
        "workers": 1,
        "state_dir": str(tmp_path / "state"),
        "run_dir": str(tmp_path / "run"),
        "listen": {"mx": [{"port": port, "tls": "none"}]},
    }
    config = tmp_path / "gatepost.yaml"
    config.write_text(yaml.safe_dump(settings))
    with served([*GATEPOST, "serve", "--config", str(config)], config):
        eventually(lambda: is_ready(config), 40)
        with smtplib.SMTP("127.0.0.1", port, timeout=20) as client:
            client.sendmail(SENDER, [person.address], b"Subject: s20 other\r\n\r\nx\r\n")
        post(founded, "s20 own", person.address)
        for subject in ("s20 other", "s20 own"):
            person.message(subject)
    path = person.maildir().relative_to(settings["store"]["volumes"]["main"]["path"])
    assert re.fullmatch(r"[0-9a-f]{2}/[0-9a-f]{2}/[^/]+/Maildir", str(path))


def cut(person: Person, service: str, dialog: list[bytes]) -> None:
    """Ask for a large message, read its beginning, and be gone."""
    with socket.create_connection(("127.0.0.1", person.demo.port(service)), timeout=20) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        for line in dialog:
            sock.recv(4096)
            sock.sendall(line + b"\r\n")
        assert len(sock.recv(1000)) > 0


def test_s06_a_cut_in_the_middle_locks_nobody_out(founded: RunningDemo) -> None:
    person = make_person(founded, "cut06", "quota=0")
    letter = ("x" * 70 + "\r\n") * 60_000
    post(founded, "s06", person.address, body=letter)
    user, password = person.login, person.password
    cut(person, "pop3", [f"USER {user}".encode(), f"PASS {password}".encode(), b"RETR 1"])
    took = eventually(lambda: person.may_log_in("pop3"), 10)
    print(f"\nPOP3 login {took * 1000:.0f} ms after the cut")
    cut(person, "imap", [f'a LOGIN {user} "{password}"'.encode(), b"b SELECT INBOX", b"c FETCH 1 BODY.PEEK[]"])
    assert person.message("s06").endswith(letter.encode())
    client = person.pop3()
    assert len(client.retr(1)[1]) > 60_000
    client.quit()


def kill_workers(demo: RunningDemo) -> None:
    """kill -9 of all that serve clients; they are replaced."""
    found = read(demo.folder / "run")
    assert found is not None
    for child in found.children:
        if child.name.startswith("worker") and not child.passing:
            os.kill(child.pid, signal.SIGKILL)


def test_s15_what_was_accepted_outlives_kill_9(founded: RunningDemo) -> None:
    person = make_person(founded, "kill15")
    accepted: Counter[str] = Counter()
    tried: Counter[str] = Counter()

    def send(numbers: range) -> None:
        for number in numbers:
            subject, until = f"s15-{number}", time.monotonic() + 60
            while not accepted[subject]:
                assert time.monotonic() < until
                tried[subject] += 1
                try:
                    post(founded, subject, person.address)
                except (OSError, smtplib.SMTPException):
                    time.sleep(0.05)
                else:
                    accepted[subject] += 1

    threads = [threading.Thread(target=send, args=(range(first, 60, 4),)) for first in range(4)]
    for thread in threads:
        thread.start()
    for share in (15, 35):
        eventually(lambda share=share: sum(accepted.values()) >= share)  # type: ignore[misc]
        kill_workers(founded)
    for thread in threads:
        thread.join(60)
    assert len(accepted) == 60
    eventually(lambda: set(accepted) <= set(person.subjects()))
    found = Counter(person.subjects())
    print(f"\n60 accepted, {sum(tried.values())} attempts, {sum(found.values())} in the mailbox")
    assert set(found) == set(accepted)
    for subject, number in found.items():
        assert number <= tried[subject], "twice only where the answer was lost"


def test_s16_a_crash_leaves_the_mailbox_whole(founded: RunningDemo) -> None:
    person = make_person(founded, "crash16")
    post(founded, "s16 before", person.address)
    with smtplib.SMTP("127.0.0.1", founded.port("mx"), timeout=20) as client:
        client.ehlo()
        client.mail(SENDER)
        client.rcpt(person.address)
        client.docmd("DATA")
        client.send(b"Subject: s16 half\r\n\r\n" + (b"x" * 70 + b"\r\n") * 20_000)  # more than is kept in memory
        kill_workers(founded)
        with pytest.raises(smtplib.SMTPServerDisconnected):
            client.docmd("NOOP")
        client.close()

    def opens() -> bool:
        try:
            return person.subjects() == ["s16 before"]
        except (OSError, imaplib.IMAP4.abort):
            return False

    took = eventually(opens)
    print(f"\nthe mailbox opened {took:.2f} s after kill -9")
    post(founded, "s16 behind", person.address)
    assert person.subjects() == ["s16 before", "s16 behind"]


def test_s17_two_hundred_thousand_messages_a_day(founded: RunningDemo) -> None:
    person = make_person(founded, "fast17")
    text, count = b"Subject: s17\r\n\r\n" + (b"x" * 70 + b"\r\n") * 28, 150
    begin = time.monotonic()
    with smtplib.SMTP("127.0.0.1", founded.port("mx"), timeout=20) as client:
        for _ in range(count):
            client.sendmail(SENDER, [person.address], text)
    rate = count / (time.monotonic() - begin)
    print(f"\n{rate:.0f} messages of 2 KiB a second through one connection, {rate * 86400:,.0f} a day")
    assert rate > 200_000 / 86_400
    assert len(person.subjects()) == count
    assert facts(founded, "account", "show", person.address)[0]["used_messages"] == count
