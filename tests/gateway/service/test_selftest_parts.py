"""Pieces of the self-test without a service: names, clients, the far end, what is read of the trail."""

from __future__ import annotations

import smtplib
import socket
import threading
import time
from pathlib import Path

import pytest

from gateway.config.settings import Listener
from gateway.files.trail import TrailFile
from gateway.service.selftest import clients
from gateway.service.selftest.case import CASES, GROUPS, NEEDS, Failed, chosen
from gateway.service.selftest.entries import Names, is_ours
from gateway.service.selftest.run import MODULES
from gateway.service.selftest.sink import Sink
from gateway.service.selftest.tail import Tail, told

assert MODULES  # filled by the import


def test_names_tell_whose_and_how_old_they_are() -> None:
    names = Names.fresh()
    assert is_ours(names.domain) and names.is_of_this_host
    assert abs(names.began - time.time()) < 5
    assert names.address("me") == f"me@{names.run}.invalid"
    assert names.outside("you").endswith(f"@outside.{names.domain}") and not is_ours(f"outside.{names.domain}")
    assert not Names(names.run[:-4] + "xxxx").is_of_this_host
    for other in ("example.com", "gatepost-selftest-6b05b30a5bce.invalid", f"{names.domain}.example.com", ""):
        assert not is_ours(other)


def test_tests_are_chosen_by_name_and_group_in_their_order() -> None:
    assert [case.name for case in chosen(())] == list(CASES)
    assert [case.name for case in chosen(("tls", "receive", "smtp"))] == [*GROUPS["receive"], "tls"]
    with pytest.raises(KeyError):
        chosen(("nonsense",))
    for case in CASES.values():
        assert case.about.endswith(".") and len(case.about) < 120
        assert case.needs <= set(NEEDS)


def test_a_proxys_listener_is_told_that_nobody_is_behind_us() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        for networks, wanted in ((("127.0.0.0/8",), b"PROXY UNKNOWN\r\nx"), (("192.0.2.0/24",), b"x"), ((), b"x")):
            with clients.dial(Listener(port=port, address="0.0.0.0", proxy_from=networks), 5) as sock:
                sock.sendall(b"x")
                peer, _ = server.accept()
                with peer:
                    peer.settimeout(5)
                    got = b""
                    while not got.endswith(b"x"):
                        got += peer.recv(100)
                    assert got == wanted


@pytest.mark.parametrize(
    ("refused", "expected"),
    [(b"mail", "MAIL FROM:<a@x.example>"), (b"rcpt", "RCPT TO:<b@x.example>"), (b"data", "the message")],
)
def test_a_refusal_is_told_word_for_word(tmp_path: Path, refused: bytes, expected: str) -> None:
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()

        def serve() -> None:
            peer, _ = server.accept()
            with peer, peer.makefile("rwb") as file:
                file.write(b"220 x\r\n")
                file.flush()
                for line in file:
                    file.write(b"552 5.2.2 no room\r\n" if line.startswith(refused) else b"250 x\r\n")
                    file.flush()

        threading.Thread(target=serve, daemon=True).start()
        with clients.smtp(Listener(path=path, tls="none"), 5) as client, pytest.raises(Failed) as failed:
            clients.send(client, "a@x.example", "b@x.example", b"x")
    assert failed.value.expected == f"250 for {expected}"
    assert failed.value.came == "552 5.2.2 no room"


def test_the_far_end_takes_refuses_and_puts_off() -> None:
    sink = Sink("far.example")
    try:
        with smtplib.SMTP("127.0.0.1", sink.port, timeout=5) as client:
            assert client.ehlo()[1].startswith(b"far.example")
            client.mail("me@x.example")
            assert client.rcpt("refused@y.example")[0] == 550
            assert client.rcpt("later@y.example")[0] == 451
            assert client.rcpt("later@y.example")[0] == 250
            assert client.rcpt("friend@y.example")[0] == 250
            assert client.data(b"Subject: x\r\n\r\n.dot\r\n")[0] == 250
        (kept,) = sink.kept
        assert (kept.return_path, kept.recipients) == ("me@x.example", ("later@y.example", "friend@y.example"))
        assert kept.content == b"Subject: x\r\n\r\n.dot\r\n"
    finally:
        sink.stop()
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", sink.port), 5)
    assert not [thread for thread in threading.enumerate() if thread.name == "selftest-sink"]


def test_a_story_is_what_is_added_behind_the_start(tmp_path: Path) -> None:
    worker, queue = TrailFile(tmp_path, "worker-0", 10_000), TrailFile(tmp_path, "queue", 10_000)
    worker.write(b'{"event":"accepted","id":"1.a"}\n')
    tail = Tail(tmp_path)
    worker.write(b'{"event":"received","id":"1.a"}\n')
    assert [event["event"] for event in tail.story("1.a")] == ["received"]
    worker.write(b'{"event":"queued","id":"1.a"}\n{"event":"received","id":"1.ab"}\n')
    queue.write(b'{"event":"reported","id":"1.a.r","parent":"1.a"}\n')  # a file that was not there
    queue.write(b'{"event":"double-bounce","id":"1.a.r.r","parent":"1.a.r"}\n')
    queue.write(b'{"event":"attempted","id":"1.a.r.r","state":"failed","reply":"no"}\n')
    (tmp_path / "20000101.queue").write_bytes(b'{"event":"old","id":"1.a"}\n')
    events = tail.story("1.a")
    assert [e["event"] for e in events] == ["received", "queued", "reported", "double-bounce", "attempted"]
    assert told(events[-1:]) == "attempted (failed no)"
    assert told([]) == "nothing"
    with (tmp_path / sorted(path.name for path in tmp_path.iterdir())[-1]).open("ab") as file:
        file.write(b'{"event":"half')  # what is being written at this moment
    assert tail.story("1.a") == events
    worker.close()
    queue.close()


def test_no_trail_yet_is_no_trouble(tmp_path: Path) -> None:
    assert Tail(tmp_path / "trace").story("1.a") == []
