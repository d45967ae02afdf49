"""ESEARCH (RFC 7377): messages found in mailboxes that are not selected; what it refuses."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from imap_bench import ANN, JANE, Bench, Client

from gateway.imap import searching
from gateway.service.search_build import SearchBuilder


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    made = Bench(tmp_path_factory.mktemp("multisearch"))
    made.client(b"CREATE Work", b"CREATE Work/a", b"CREATE Work/a/b", b"CREATE Worker", b"SUBSCRIBE Work/a")
    for mailbox, texts in {
        "INBOX": ("red", "green", "red"), "Work": ("green",), "Work/a": ("green", "red"), "Work/a/b": ("red",), "Worker": ("red",),
    }.items():  # fmt: skip
        made.append(*(b"Subject: %b\n\nword %b\n" % (text.encode(), text.encode()) for text in texts), mailbox=mailbox)
    made.stores.append(ANN, "INBOX", [b"Subject: red\n\nof ann\n"], "")
    yield made
    made.close()


@pytest.fixture
def client(bench: Bench) -> Client:
    return bench.client()


def told(client: Client, command: bytes) -> dict[str, str]:
    """{mailbox: what is found there}."""
    *lines, last = client.say(command).decode().splitlines()
    assert last == "a OK ESEARCH completed", last
    found = {}
    for line in lines:
        head, _, rest = line.partition(") UID ")
        mailbox, _, validity = head.removeprefix('* ESEARCH (TAG "a" MAILBOX "').partition('" UIDVALIDITY ')
        assert validity.isdigit(), line
        found[mailbox] = rest
    return found


@pytest.mark.parametrize(
    ("said", "found"),
    [
        (b"IN (mailboxes (Work INBOX)) SUBJECT red", {"INBOX": "ALL 1,3"}),
        (b"IN (mailboxes Work/a) BODY red", {"Work/a": "ALL 2"}),
        (b"IN (subtree Work) RETURN (COUNT) SUBJECT red", {"Work/a": "COUNT 1", "Work/a/b": "COUNT 1"}),
        (b"IN (subtree-one Work) TEXT red", {"Work/a": "ALL 2"}),
        (b"IN (subtree Work mailboxes Worker mailboxes (Work/a Gone)) RETURN (MIN) ALL",
         {"Work": "MIN 1", "Work/a": "MIN 1", "Work/a/b": "MIN 1", "Worker": "MIN 1"}),
        (b"IN (inboxes) UNSEEN", {"INBOX": "ALL 1:3"}),
        (b"IN (personal) RETURN (PARTIAL 1:1) NOT SUBJECT green",
         {"INBOX": "PARTIAL (1:1 1)", "Work/a": "PARTIAL (1:1 2)", "Work/a/b": "PARTIAL (1:1 1)", "Worker": "PARTIAL (1:1 1)"}),
        (b"IN (subscribed) SUBJECT green", {"INBOX": "ALL 2", "Work/a": "ALL 1"}),
        (b"IN (mailboxes (Work INBOX)) UID 2:9 SAVEDSINCE 1-Jan-2000", {"INBOX": "ALL 2:3"}),
        (b"IN (mailboxes Gone) ALL", {}),
        (b'IN (mailboxes "Other Users/ann@example.com") ALL', {}),
    ],
)  # fmt: skip
def test_without_a_selected_mailbox(client: Client, said: bytes, found: dict[str, str]) -> None:
    shown = told(client, b"ESEARCH " + said)
    if b"subscribed" in said:  # which of the others are subscribed is the store's matter
        assert "Worker" not in shown
    assert {name: each for name, each in shown.items() if name in found} == found
    assert shown.keys() == found.keys() or b"subscribed" in said


def test_what_a_second_client_puts_there_is_found(bench: Bench, client: Client) -> None:
    assert told(client, b"ESEARCH IN (personal) SUBJECT violet") == {}
    bench.client(b"SELECT INBOX").say(b"APPEND Worker {19+}\r\nSubject: violet\r\n\r\n")
    assert told(client, b"ESEARCH IN (personal) SUBJECT violet") == {"Worker": "ALL 2"}
    bench.client(b"SELECT Worker", b"STORE 2 +FLAGS (\\Deleted)", b"EXPUNGE")
    assert told(client, b"ESEARCH IN (personal) SUBJECT violet") == {}


def test_the_selected_mailbox(bench: Bench) -> None:
    client = bench.client(b"SELECT Work/a")
    assert told(client, b"ESEARCH 2") == {"Work/a": "ALL 2"}
    assert told(client, b"ESEARCH IN (selected mailboxes (INBOX Work/a)) SUBJECT red") == {
        "Work/a": "ALL 2", "INBOX": "ALL 1,3",
    }  # fmt: skip
    assert told(client, b"ESEARCH IN (selected) RETURN (SAVE COUNT) SUBJECT red") == {"Work/a": "COUNT 1"}
    assert b"* 2 FETCH (UID 2)" in client.say(b"FETCH $ UID")
    assert b"* 1 FETCH " in client.say(b"FETCH 1 FLAGS")  # it is still the one that is selected


def test_rights_of_others(bench: Bench) -> None:
    name = b'"Other Users/ann@example.com"'
    client = bench.client()
    bench.client(b"SETACL INBOX jane@example.com l", login=b"ann")
    assert told(client, b"ESEARCH IN (mailboxes %b) ALL" % name) == {}  # seen, and not to be read
    bench.client(b"SETACL INBOX jane@example.com lr", login=b"ann")
    assert told(client, b"ESEARCH IN (mailboxes %b) BODY ann" % name) == {"Other Users/ann@example.com": "ALL 1"}
    bench.client(b"DELETEACL INBOX jane@example.com", login=b"ann")
    assert told(client, b"ESEARCH IN (mailboxes %b) ALL" % name) == {}


def test_with_the_file_of_texts(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searching, "MANY", 1)
    before = told(bench.client(), b"ESEARCH IN (personal) TEXT gree")
    builder = SearchBuilder(bench.host)
    while not builder.build(JANE.id):
        pass
    assert told(bench.client(), b"ESEARCH IN (personal) TEXT gree") == before
    assert before.keys() == {"INBOX", "Work", "Work/a"}


@pytest.mark.parametrize(
    ("said", "answered"),
    [
        (b"ESEARCH UNSEEN", b"a BAD no mailbox is selected"),
        (b"ESEARCH IN (selected) ALL", b"a BAD no mailbox is selected"),
        (b"ESEARCH IN (mailboxes INBOX) 1:2", b"a BAD message numbers "),
        (b"ESEARCH IN (mailboxes INBOX) UID $", b"a BAD message numbers "),
        (b"ESEARCH IN (mailboxes INBOX) RETURN (SAVE) ALL", b"a BAD only what is found in the selected "),
        (b"ESEARCH IN (selected-delayed) ALL", b"a BAD a filter "),
        (b"ESEARCH IN () ALL", b"a BAD a filter "),
        (b"ESEARCH IN (mailboxes) ALL", b"a BAD "),
        (b"ESEARCH IN (personal)", b"a BAD "),
        (b"ESEARCH IN (personal) FOO", b"a BAD unknown search key"),
        (b"ESEARCH IN (personal) CHARSET klingon ALL", b"a NO [BADCHARSET "),
        (b"ESEARCH IN (mailboxes a//b) ALL", b"a NO [CANNOT] "),
        (b"ESEARCH IN (" + b" ".join([b"personal"] * 40) + b") ALL", b"a BAD at most "),
    ],
)
def test_refusals(client: Client, said: bytes, answered: bytes) -> None:
    assert client.say(said).startswith(answered)


def test_too_many_mailboxes(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.service.imap_notify.MAX_SEARCHED", 3)
    assert client.say(b"ESEARCH IN (personal) ALL").startswith(b"a NO [LIMIT] at most 3 mailboxes")


def test_announced(client: Client) -> None:
    assert b" MULTISEARCH " in client.say(b"CAPABILITY").replace(b"\r\n", b" ")
