"""Extensions that are switched off for somebody are not there for him, and there for everybody else."""

from __future__ import annotations

from pathlib import Path

from imap_bench import Bench, entry

from gateway.imap.registry import CAPABILITIES, COMMANDS
from gateway.imap.settings import ImapSettings, Without
from gateway.imap.switches import _COMMANDS, SWITCHABLE, is_announced, known, unknown_commands, withheld

ALL_OFF = SWITCHABLE
#: what must then be answered BAD
GONE = (
    b"IDLE", b"UID MOVE 1 Sent", b"MOVE 1 Sent", b"COMPRESS DEFLATE", b"NOTIFY NONE", b"GETQUOTAROOT INBOX",
    b"GETQUOTA user", b"UID EXPUNGE 1", b"UNSELECT", b"NAMESPACE", b"MYRIGHTS INBOX", b"GETACL INBOX",
    b'SETMETADATA INBOX (/private/comment "x")', b"GETMETADATA INBOX /private/comment", b"SORT (DATE) UTF-8 ALL",
    b"THREAD REFS UTF-8 ALL", b"UIDBATCHES 500", b"UNAUTHENTICATE", b"ENABLE CONDSTORE", b"SELECT INBOX (CONDSTORE)",
    b"STATUS INBOX (HIGHESTMODSEQ)", b"FETCH 1 (MODSEQ)", b"STORE 1 (UNCHANGEDSINCE 1) +FLAGS (x)",
    b"SEARCH MODSEQ 1", b"SEARCH RETURN (COUNT) ALL", b'LIST "" * RETURN (STATUS (MESSAGES))',
    b'LIST "" * RETURN (MYRIGHTS)',
)  # fmt: skip


def bench_of(folder: Path, *rules: Without) -> Bench:
    made = Bench(folder, ImapSettings(without=rules, max_errors=100))
    made.append(b"Subject: x\n\ny\n")
    return made


def test_all_of_it_is_unknown(tmp_path: Path) -> None:
    bench = bench_of(tmp_path, Without(ALL_OFF, users=("JANE@example.com",)))
    client = bench.client(b"SELECT INBOX")
    told = client.say(b"CAPABILITY")
    for name in ALL_OFF:
        assert f" {name}".encode() not in told.replace(b"IMAP4rev1", b""), name
    for command in GONE:
        assert client.say(command).startswith(b"a BAD unknown"), command
    assert b"a OK" in client.say(b"UID FETCH 1:* (FLAGS)")  # the rest is as it was
    assert b"a OK" in client.say(b"STATUS INBOX (MESSAGES)")
    bench.close()


def test_nothing_is_unknown_to_others(tmp_path: Path) -> None:
    bench = bench_of(tmp_path, Without(ALL_OFF, users=("somebody@example.com",)))
    client = bench.client(b"SELECT INBOX")
    assert client.say(b"CAPABILITY") == usual(tmp_path)
    for command in (b"UID EXPUNGE 1", b"NAMESPACE", b"SELECT INBOX (CONDSTORE)", b"SEARCH RETURN (COUNT) ALL"):
        assert b"a OK" in client.say(command), command
    bench.close()


def usual(folder: Path) -> bytes:
    """What is told where nothing is switched off."""
    (folder / "plain").mkdir()
    bench = bench_of(folder / "plain")
    told = bench.client().say(b"CAPABILITY")
    bench.close()
    return told


def test_by_what_the_program_calls_itself(tmp_path: Path) -> None:
    bench = bench_of(tmp_path, Without(("CONDSTORE", "IDLE"), clients=("*outlook*",)))
    client = bench.client()
    assert b" IDLE" in client.say(b"CAPABILITY")
    said = client.say(b'ID ("version" "16" "Name" "Microsoft Outlook")')
    assert said.index(b"* CAPABILITY ") < said.index(b"* ID ")
    assert b"CONDSTORE" not in said
    assert b"QRESYNC" not in said  # which needs it
    assert b"ENABLED\r\n" in client.say(b"ENABLE QRESYNC")
    assert client.say(b"IDLE").startswith(b"a BAD unknown command")
    said = client.say(b'ID ("name" "Mutt")')
    assert b" IDLE" in said
    assert b"CAPABILITY" not in client.say(b"ID NIL")
    bench.close()


def test_by_a_group_within_a_group(tmp_path: Path) -> None:
    bench = bench_of(tmp_path, Without(("MOVE",), groups=("UID=Everybody, dc=example",)))
    bench.source.put(entry("sales", "groupOfNames", member="uid=jane,dc=example"))
    bench.source.put(entry("everybody", "groupOfNames", member="uid=sales,dc=example"))
    assert b" MOVE" not in bench.client().say(b"CAPABILITY")
    assert b" MOVE" in bench.client(login=b"ann").say(b"CAPABILITY")
    bench.close()


def test_rev2_alone(tmp_path: Path) -> None:
    bench = bench_of(tmp_path, Without(("IMAP4rev2", "UTF8=ACCEPT")))
    client = bench.client()
    said = client.say(b"CAPABILITY")
    assert b"IMAP4rev1" in said
    assert b"IMAP4rev2" not in said
    assert b"UTF8" not in said
    assert b"* ENABLED CONDSTORE\r\n" in client.say(b"ENABLE IMAP4rev2 UTF8=ACCEPT CONDSTORE")
    assert not client.session.rev2
    bench.close()


def test_who_a_rule_is_about() -> None:
    rule = Without(("MOVE",), users=("Ann",), groups=("CN=Sales, OU=Groups,o=x",), clients=("Mail?Prog*",))
    group = frozenset({"cn=sales,ou=groups,o=x"})
    assert withheld([rule], {"ann"}, group, "mail-program 3") == {"MOVE"}
    assert withheld([rule], {"bob"}, group, "mail-program 3") == frozenset()
    assert withheld([rule], {"ann"}, frozenset(), "mail-program 3") == frozenset()
    assert withheld([rule], {"ann"}, group, "") == frozenset()
    assert withheld([Without(("MOVE",)), Without(("acl",), users=("bob",))], set(), set(), "") == {"MOVE"}
    assert "LIST-MYRIGHTS" in withheld([Without(("acl",))], set(), set(), "")


def test_every_name_is_one_that_is_announced_and_every_command_exists() -> None:
    announced = {*CAPABILITIES, "IMAP4rev2"}
    for name, commands in _COMMANDS.items():
        assert any(not is_announced(each, {name}) for each in announced), name
        assert COMMANDS.keys() >= set(commands), name
        assert unknown_commands(frozenset({name})) == set(commands)
    assert known("compress=deflate") == "COMPRESS"
    assert known("LITERAL+") is None
