"""SEARCH and SORT RETURN (UPDATE), CANCELUPDATE (RFC 5267): what another client does changes the results of this one."""

from __future__ import annotations

import pytest
from two_sessions import Client, Worker, World

from directory.model import Condition, Deferred
from gateway.service import imap_contents

pytest_plugins = ["session_fixtures"]


def worker(client: Client) -> Worker:
    return client.executor.host  # type: ignore[return-value]


def mail(subject: str, text: str = "text") -> bytes:
    return f"Subject: {subject}\n\n{text}\n".encode()


def test_flags_new_messages_and_expunge(pair: tuple[Client, Client]) -> None:
    one, two = pair
    assert two.say("SEARCH RETURN (UPDATE COUNT) UNSEEN") == '* ESEARCH (TAG "T") COUNT 3\r\nT OK SEARCH completed\r\n'
    one.say(r"STORE 2 +FLAGS (\Seen)")
    assert two.say("NOOP") == (
        '* 2 FETCH (UID 2 FLAGS (\\Seen))\r\n* ESEARCH (TAG "T") REMOVEFROM (0 2)\r\nT OK NOOP completed\r\n'
    )
    worker(one).deliver()
    assert two.say("NOOP") == '* 4 EXISTS\r\n* ESEARCH (TAG "T") ADDTO (0 4)\r\nT OK NOOP completed\r\n'
    one.say(r"STORE 1,2 +FLAGS (\Deleted)")
    two.say("NOOP")
    one.say("EXPUNGE")
    # 1 was a result and leaves before it is gone; 2 was none
    assert two.say("NOOP") == '* ESEARCH (TAG "T") REMOVEFROM (0 1)\r\n* 2 EXPUNGE\r\n* 1 EXPUNGE\r\nT OK NOOP completed\r\n'  # fmt: skip
    two.say(r"STORE 1 +FLAGS.SILENT (\Seen)")
    assert "ADDTO (0 1)" in two.say(r"STORE 1 -FLAGS (\Seen)")
    assert two.say('CANCELUPDATE "T"') == "T OK CANCELUPDATE completed\r\n"
    worker(one).deliver()
    assert two.say("NOOP") == "* 3 EXISTS\r\nT OK NOOP completed\r\n"


def test_texts_in_idle_by_uid(pair: tuple[Client, Client]) -> None:
    one, two = pair
    assert "COUNT 0" in two.say("UID SEARCH RETURN (COUNT UPDATE CONTEXT) BODY violet SUBJECT a")
    two.say("IDLE")
    for subject, text in (("ab", "violet"), ("b", "violet"), ("a", "red"), ("a", "ultraviolet")):
        worker(one).deliver(mail(subject, text))
    assert two.woken() == '* 7 EXISTS\r\n* ESEARCH (TAG "T") UID ADDTO (0 4,7)\r\n'
    one.say("NOOP")
    one.say("UID STORE 4 +FLAGS (\\Deleted)")
    assert "ESEARCH" not in two.woken()
    one.say("EXPUNGE")
    assert two.woken() == '* ESEARCH (TAG "T") UID REMOVEFROM (0 4)\r\n* 4 EXPUNGE\r\n'


def test_places_in_the_order_of_sort(pair: tuple[Client, Client]) -> None:
    one, two = pair
    for subject in ("m", "c", "x"):
        worker(one).deliver(mail(subject))
    assert two.say("NOOP")
    assert "ALL 5,4,6\r\n" in two.say("UID SORT RETURN (UPDATE) (SUBJECT) UTF-8 UID 4:*")
    for subject in ("d", "a", "z"):
        worker(one).deliver(mail(subject))
    assert two.say("NOOP") == '* 9 EXISTS\r\n* ESEARCH (TAG "T") UID ADDTO (1 8 3 7 6 9)\r\nT OK NOOP completed\r\n'
    one.say("NOOP")
    one.say(r"UID STORE 8,4,9 +FLAGS.SILENT (\Deleted)")
    two.say("NOOP")
    one.say("EXPUNGE")  # 8 5 7 4 6 9: what is first, then what is third of those that are left, then the last one
    assert '* ESEARCH (TAG "T") UID REMOVEFROM (1 8 3 4 4 9)\r\n* 9 EXPUNGE' in two.say("NOOP")
    assert "ALL 5,7,6\r\n" in two.say("UID SORT RETURN () (SUBJECT) UTF-8 UID 4:*")


def test_numbers_mean_what_they_meant(pair: tuple[Client, Client]) -> None:
    one, two = pair
    assert "COUNT 0" in two.say("SEARCH RETURN (COUNT UPDATE) 2:3 FLAGGED")
    one.say(r"STORE 1 +FLAGS (\Deleted)")
    one.say("EXPUNGE")
    two.say("NOOP")
    one.say(r"UID STORE 2:3 +FLAGS (\Flagged)")
    assert '* ESEARCH (TAG "T") ADDTO (0 1:2)\r\n' in two.say("NOOP")
    worker(one).deliver()
    one.say("NOOP")
    one.say(r"UID STORE 4 +FLAGS (\Flagged)")
    assert "ADDTO" not in two.say("NOOP")


def test_trouble_is_made_good_later(pair: tuple[Client, Client], monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = pair
    two.say("SEARCH RETURN (COUNT UPDATE) BODY violet")
    worker(one).deliver(mail("a", "violet"))

    def trouble(*_: object) -> None:
        raise Deferred(Condition.STORE_UNAVAILABLE)

    with monkeypatch.context() as patched:
        patched.setattr(imap_contents.Reader, "search", trouble)
        assert two.say("NOOP") == "* 4 EXISTS\r\nT OK NOOP completed\r\n"
    assert two.say("NOOP") == '* ESEARCH (TAG "T") ADDTO (0 4)\r\nT OK NOOP completed\r\n'


def test_it_ends_with_the_selection(pair: tuple[Client, Client]) -> None:
    one, two = pair
    two.say("SEARCH RETURN (COUNT UPDATE) ALL")
    two.say("SELECT INBOX")
    worker(one).deliver()
    assert "ESEARCH" not in two.say("NOOP")
    assert two.say('CANCELUPDATE "T"').startswith("T NO no search of such a tag")


def test_refusals(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    client = world.worker().session()
    assert client.say('CANCELUPDATE "x"').startswith("T BAD not allowed")
    client.say("SELECT INBOX")
    assert client.say("CANCELUPDATE").startswith("T BAD ")
    assert client.say('CANCELUPDATE "x"').startswith("T NO ")
    assert '* NO [NOUPDATE "T"] what time alone' in client.say("SEARCH RETURN (COUNT UPDATE) YOUNGER 60")
    assert client.say("ESEARCH RETURN (UPDATE) ALL").startswith("T BAD ")
    monkeypatch.setattr("gateway.imap.searching.MAX_CONTEXTS", 1)
    assert "NOUPDATE" not in client.say("SEARCH RETURN (COUNT UPDATE) ALL")
    assert client.say("SEARCH RETURN (COUNT UPDATE) ALL").startswith("T BAD a search of this tag")
    answer = client.send(b"U SORT RETURN (COUNT UPDATE) (ARRIVAL) UTF-8 ALL\r\n")
    assert answer == (
        '* ESEARCH (TAG "U") COUNT 0\r\n* NO [NOUPDATE "U"] at most 1 searches are kept up to date\r\nU OK SORT completed\r\n'
    )
    monkeypatch.setattr("gateway.imap.searching.MAX_RESULTS", -1)
    assert '[NOUPDATE "V"] of more than' in client.send(b"V SEARCH RETURN (COUNT UPDATE) ALL\r\n")
    said = client.say("CAPABILITY")
    assert " CONTEXT=SEARCH CONTEXT=SORT " in said
