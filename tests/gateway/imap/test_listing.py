"""LIST in all its forms, LSUB, STATUS and quota over a real store; what is asked wrongly is refused."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from imap_bench import JANE, Bench, Client

from gateway.imap.names import encode

NO, HAS = b"\\HasNoChildren", b"\\HasChildren"


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    made = Bench(tmp_path_factory.mktemp("list"))
    for name in ("Work/2026/May", "Work/Ärzte", "notes"):
        made.stores.create_mailbox(JANE, name)
    for name in ("Work/2026/May", "Gone/Away"):
        made.stores.subscribe(JANE, name, on=True)
    made.stores.subscribe(JANE, "Junk", on=False)
    made.append(b"a: b\n\nx\n", b"c: d\n\n", flags="")
    made.append(b"e: f\n\n12345\n", flags="ST", mailbox="Trash")
    yield made
    made.close()


@pytest.fixture
def client(bench: Bench) -> Client:
    return bench.client()


def lines(answer: bytes) -> list[bytes]:
    """The untagged lines without `* LIST ` or `* LSUB `."""
    found = answer.split(b"\r\n")
    assert found[-2].startswith(b"a OK")
    return [line[7:] for line in found[:-2]]


def line(attributes: bytes, name: str, info: bytes = b"") -> bytes:
    return b'(%b) "/" "%b"%b' % (attributes, encode(name), info)


PERSONAL = [
    line(NO, "INBOX"),
    line(NO + b" \\Archive", "Archive"),
    line(NO + b" \\Drafts", "Drafts"),
    line(NO + b" \\Junk", "Junk"),
    line(NO + b" \\Sent", "Sent"),
    line(NO + b" \\Trash", "Trash"),
]
WORK = [line(HAS, "Work"), line(HAS, "Work/2026"), line(NO, "Work/2026/May"), line(NO, "Work/Ärzte")]
CHILD = b' ("CHILDINFO" ("SUBSCRIBED"))'


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (b'LIST "" *', [*PERSONAL, *WORK, line(NO, "notes")]),
        (b'LIST "" %', [*PERSONAL, WORK[0], line(NO, "notes")]),
        (b'LIST "" %/%', [WORK[1], WORK[3]]),
        (b"LIST Work/ %", [WORK[1], WORK[3]]),
        (b'LIST Work "*May"', [WORK[2]]),
        (b'LIST "" inbox', [PERSONAL[0]]),
        (b'LIST "" IN%', [PERSONAL[0]]),
        (b'LIST "" "in*"', [PERSONAL[0]]),
        (b'LIST "" INBOX/%', []),
        (b'LIST "" Work/&AMQ-rzte', [WORK[3]]),
        (b'LIST "" Nothing', []),
        (b'LIST "" ""', [b'(\\Noselect) "/" ""']),
        (b'LIST "" (INBOX "W%")', [line(NO + b" \\Subscribed", "INBOX"), WORK[0]]),
        (b'LIST (SPECIAL-USE) "" *', [
            line(NO + b" \\Archive \\Subscribed", "Archive"),
            line(NO + b" \\Drafts \\Subscribed", "Drafts"), line(NO + b" \\Junk", "Junk"),
            line(NO + b" \\Sent \\Subscribed", "Sent"), line(NO + b" \\Trash \\Subscribed", "Trash"),
        ]),
        (b'LIST "" J* RETURN (SPECIAL-USE SUBSCRIBED CHILDREN)', [line(NO + b" \\Junk", "Junk")]),
        (b'LIST (SUBSCRIBED) "" "*a*"', [
            line(NO + b" \\Drafts \\Subscribed", "Drafts"), line(b"\\NonExistent " + NO + b" \\Subscribed", "Gone/Away"),
            line(NO + b" \\Trash \\Subscribed", "Trash"), line(NO + b" \\Subscribed", "Work/2026/May"),
        ]),
        (b'LIST (SUBSCRIBED RECURSIVEMATCH) "" (G% W%)', [
            line(b"\\NonExistent " + NO, "Gone", CHILD), line(HAS, "Work", CHILD),
        ]),
        (b'LIST (SUBSCRIBED RECURSIVEMATCH) "" "Work*"', [line(NO + b" \\Subscribed", "Work/2026/May")]),
        (b'LIST (REMOTE) "" notes', [line(NO, "notes")]),
        (b'LSUB "" *', [line(b"", name) for name in ("Archive", "Drafts", "Gone/Away", "INBOX", "Sent", "Trash", "Work/2026/May")]),
        (b'LSUB "" %', [
            line(b"", "Archive"), line(b"", "Drafts"), line(b"\\Noselect", "Gone"), line(b"", "INBOX"), line(b"", "Sent"), line(b"", "Trash"),
            line(b"\\Noselect", "Work"),
        ]),
        (b"LSUB Work/ %", [line(b"\\Noselect", "Work/2026")]),
    ],
)  # fmt: skip
def test_lists(client: Client, said: bytes, told: list[bytes]) -> None:
    assert lines(client.say(said)) == told


def test_list_with_status(client: Client) -> None:
    answer = client.say(b'LIST "" (INBOX Trash Gone%) RETURN (STATUS (MESSAGES UNSEEN SIZE DELETED))')
    assert answer.split(b"\r\n")[:-2] == [
        b"* LIST " + line(NO + b" \\Subscribed", "INBOX"),
        b'* STATUS "INBOX" (MESSAGES 2 UNSEEN 2 SIZE 19 DELETED 0)',
        b"* LIST " + line(NO + b" \\Trash \\Subscribed", "Trash"),
        b'* STATUS "Trash" (MESSAGES 1 UNSEEN 0 SIZE 15 DELETED 1)',
    ]


def test_status(client: Client, bench: Bench) -> None:
    row = bench.repository.mailbox(JANE.id, "INBOX")
    assert row is not None
    every = b"MESSAGES RECENT UIDNEXT UIDVALIDITY UNSEEN HIGHESTMODSEQ SIZE DELETED DELETED-STORAGE"
    assert client.say(b"STATUS inbox (" + every + b")") == (
        b'* STATUS "INBOX" (MESSAGES 2 RECENT 0 UIDNEXT 3 UIDVALIDITY %d UNSEEN 2 HIGHESTMODSEQ %d SIZE 19 DELETED 0 '
        b"DELETED-STORAGE 0)\r\na OK STATUS completed\r\n" % (row.uidvalidity, row.highestmodseq)
    )
    assert b"DELETED-STORAGE 12)" in client.say(b"STATUS Trash (DELETED-STORAGE)")
    assert client.session.condstore


@pytest.mark.parametrize(
    ("said", "answered"),
    [
        (b'LIST (RECURSIVEMATCH) "" *', b"a BAD RECURSIVEMATCH needs"),
        (b'LIST (RECURSIVEMATCH REMOTE) "" *', b"a BAD RECURSIVEMATCH needs"),
        (b'LIST (NEWEST) "" *', b"a BAD unknown LIST option"),
        (b'LIST "" * RETURN (COLOUR)', b"a BAD unknown LIST option"),
        (b'LIST "" * RETURN (STATUS (X))', b"a BAD unknown or repeated STATUS item"),
        (b'LIST "" (' + b" ".join([b"a"] * 101) + b")", b"a BAD too many patterns"),
        (b'LIST "" ' + b"%" * 1001, b"a NO [CANNOT] the pattern is too long"),
        (b'LIST "" &AGE-*', b"a NO [CANNOT] "),
        (b'LIST "" * *', b"a BAD "),
        (b"LSUB *", b"a BAD "),
        (b'LSUB "" &', b"a NO [CANNOT] "),
        (b"STATUS INBOX ()", b"a BAD "),
        (b"STATUS INBOX (MESSAGES MESSAGES)", b"a BAD "),
        (b"STATUS Nothing (MESSAGES)", b"a NO [NONEXISTENT] "),
        (b"STATUS Gone/Away (MESSAGES)", b"a NO [NONEXISTENT] "),
        (b"GETQUOTAROOT Nothing", b"a NO [NONEXISTENT] "),
        (b'GETQUOTA "other"', b"a NO [NONEXISTENT] "),
        (b'SETQUOTA "" (STORAGE 512)', b"a NO [NOPERM] "),
        (b'SETQUOTA ""', b"a BAD "),
    ],
)
def test_refusals(client: Client, said: bytes, answered: bytes) -> None:
    assert client.say(said).startswith(answered)


def test_quota(client: Client, bench: Bench) -> None:
    account = bench.repository.account(JANE.id)
    assert account is not None
    assert account.used_bytes == 26
    told = b'* QUOTA "" (STORAGE 1 10240)\r\n'
    assert client.say(b'GETQUOTA ""') == told + b"a OK GETQUOTA completed\r\n"
    assert (
        client.say(b"GETQUOTAROOT inbox") == b'* QUOTAROOT "INBOX" ""\r\n' + told + b"a OK GETQUOTAROOT completed\r\n"
    )


def test_new_mail_changes_what_quota_and_status_tell(tmp_path_factory: pytest.TempPathFactory) -> None:
    bench = Bench(tmp_path_factory.mktemp("quota"))
    client = bench.client()
    assert b"STORAGE 0 10240" in client.say(b'GETQUOTA ""')
    bench.append(b"a: b\n\n" + b"x" * 2000)
    assert b"STORAGE 2 10240" in client.say(b'GETQUOTA ""')
    assert b"MESSAGES 1" in client.say(b"STATUS INBOX (MESSAGES)")
    bench.close()
