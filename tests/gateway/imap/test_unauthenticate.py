"""UNAUTHENTICATE (RFC 8437): a connection that is nobody's again, and knows nothing of who it was."""

from __future__ import annotations

from two_sessions import Client, World

pytest_plugins = ["session_fixtures"]


class Peer:
    """Counts as a connection does."""

    is_near = True

    def __init__(self) -> None:
        self.accounts = ["t:1"]

    def log_in(self, account: str) -> None:
        self.accounts.append(account)

    def log_out(self) -> None:
        self.accounts.pop()


def test_somebody_else_may_log_in(pair: tuple[Client, Client]) -> None:
    one, two = pair
    one.executor.peer = peer = Peer()
    two.say("STORE 1 +FLAGS (\\Deleted)")
    one.say("ENABLE QRESYNC")
    said = one.say("UNAUTHENTICATE")
    assert said.startswith("T OK [CAPABILITY IMAP4rev1 IMAP4rev2 ")
    assert "AUTH=PLAIN" in said
    assert "UNAUTHENTICATE" not in said
    assert one.say("FETCH 1 FLAGS") == "T BAD not allowed when not authenticated\r\n"
    assert one.say("UNAUTHENTICATE").startswith("T BAD not allowed")
    assert "* 3 EXISTS" in two.say("SELECT INBOX")  # nothing was expunged
    assert peer.accounts == []
    assert " UNAUTHENTICATE " in one.say("LOGIN jane secret")
    assert peer.accounts == ["t:1"]
    assert one.say("SELECT INBOX (QRESYNC (1 1))").startswith("T BAD ENABLE QRESYNC comes first")
    assert "MODSEQ" not in one.say("STORE 1 FLAGS ()")


def test_what_was_under_way_is_forgotten(world: World) -> None:
    client = world.worker().session("SELECT INBOX")
    assert client.say("UNAUTHENTICATE now").startswith("T BAD ")
    assert "* 0 EXISTS" in client.say("SELECT INBOX")
    client.say("UNAUTHENTICATE")
    world.workers[0].deliver()
    assert client.woken() == ""
    assert client.send(b"T APPEND INBOX {3+}\r\nabc\r\n").startswith("T BAD not allowed")
