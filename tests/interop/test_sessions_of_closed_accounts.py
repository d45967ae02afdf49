"""Who is disabled is out, with what he had open before, too."""

from __future__ import annotations

import imaplib
import poplib
from collections.abc import Callable

import pytest
from conftest import RunningDemo, eventually

from gateway.service.evicting import LOOK_SECONDS


def is_out(ask: Callable[[], object]) -> bool:
    try:
        ask()
    except (imaplib.IMAP4.abort, poplib.error_proto, OSError, EOFError):
        return True
    return False


@pytest.mark.parametrize("change", [{"gatepostStatus": ["noaccess"]}, {"gatepostAllowNet": ["192.0.2.0/24"]}], ids=["disabled", "from elsewhere only"])  # fmt: skip
def test_open_sessions_end_with_the_right_to_log_in(demo: RunningDemo, change: dict[str, list[str]]) -> None:
    (attribute,) = change
    other = imaplib.IMAP4("127.0.0.1", demo.port("imap"), timeout=30)
    other.login("jane", "jane-demo-password")
    idle = imaplib.IMAP4("127.0.0.1", demo.port("imap"), timeout=30)
    idle.login("emma", "emma-demo-password")
    idle.select()
    idle.send(b"x IDLE\r\n")
    assert idle.readline().startswith(b"+")
    plain = imaplib.IMAP4("127.0.0.1", demo.port("imap"), timeout=30)
    plain.login("emma", "emma-demo-password")
    drop = poplib.POP3("127.0.0.1", demo.port("pop3"), timeout=30)
    drop.user("emma")
    drop.pass_("emma-demo-password")
    demo.change("emma", change)
    try:
        said = idle.readline()
        while said and not said.startswith(b"* BYE"):
            said = idle.readline()
        assert said.startswith(b"* BYE [UNAVAILABLE] authentication failed"), said
        took = eventually(lambda: is_out(plain.noop), 10 * LOOK_SECONDS)
        eventually(lambda: is_out(drop.noop), 10 * LOOK_SECONDS)
        print(f"the others are out after {took:.1f} s")
        assert other.noop()[0] == "OK"
    finally:
        demo.change("emma", {attribute: ["active"] if attribute == "gatepostStatus" else []})
        for each in (idle, plain):
            each.shutdown()
        drop.close()
        other.logout()
