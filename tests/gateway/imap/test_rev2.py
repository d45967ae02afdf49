"""IMAP4rev2 (RFC 9051) and UTF8=ACCEPT (RFC 9755): what is different when a client asks for them, and only then."""

from __future__ import annotations

import pytest
from two_sessions import Client, World

pytest_plugins = ["session_fixtures"]

#: what RFC 9051 appendix E took over from extensions, as it is announced here
PART_OF_REV2 = (
    "BINARY ENABLE ESEARCH IDLE LIST-EXTENDED LIST-STATUS LITERAL+ MOVE NAMESPACE SASL-IR SEARCHRES SPECIAL-USE "
    "STATUS=SIZE UIDPLUS UNSELECT"
)


def test_everything_that_is_part_of_it_is_there(world: World) -> None:
    before = Client(world.worker()).say("CAPABILITY").split()
    client = world.workers[0].session()
    assert set(PART_OF_REV2.split()) <= {*before, *client.say("CAPABILITY").split()}
    assert before[2:4] == ["IMAP4rev1", "IMAP4rev2"]
    assert client.say("ENABLE IMAP4rev2 imap4rev2 X") == "* ENABLED IMAP4rev2\r\nT OK ENABLE completed\r\n"


def test_searches_and_selects(pair: tuple[Client, Client]) -> None:
    one, two = pair
    assert one.say("SEARCH ALL").startswith("* SEARCH 1 2 3\r\n")
    assert "* 0 RECENT" in one.say("SELECT INBOX")
    one.say("ENABLE IMAP4rev2")
    assert one.say("SEARCH ALL") == '* ESEARCH (TAG "T") ALL 1:3\r\nT OK SEARCH completed\r\n'
    assert one.say("UID SEARCH 2") == '* ESEARCH (TAG "T") UID ALL 2\r\nT OK UID SEARCH completed\r\n'
    assert one.say("SEARCH DELETED") == '* ESEARCH (TAG "T")\r\nT OK SEARCH completed\r\n'
    assert one.say("SEARCH RETURN () 1").startswith('* ESEARCH (TAG "T") ALL 1\r\n')
    said = one.say("SELECT inbox")
    assert said.startswith("* OK [CLOSED]")
    assert '* LIST () "/" "INBOX" ("OLDNAME" ("inbox"))\r\n' in said
    assert "RECENT" not in said
    assert "UNSEEN" not in said
    assert '* LIST () "/" "INBOX"\r\n' in one.say("EXAMINE INBOX")
    assert two.say("SEARCH ALL").startswith("* SEARCH 1 2 3\r\n"), "another session is as it was"
    assert "RECENT" in two.say("SELECT INBOX")
    assert one.say("SELECT Nowhere").startswith("* OK [CLOSED]")
    one.say("UNAUTHENTICATE")
    one.say("LOGIN jane secret")
    assert "RECENT" in one.say("SELECT INBOX")


@pytest.mark.parametrize("enabled", ["IMAP4rev2", "UTF8=ACCEPT"])
def test_names_are_utf8(pair: tuple[Client, Client], enabled: str) -> None:
    one, two = pair
    two.say("CREATE Tom&-J&AOk-r&APQ-me")
    assert one.say('CREATE "Käse"').startswith("T NO [CANNOT] the name is not modified UTF-7")
    assert one.say(f"ENABLE {enabled}").startswith(f"* ENABLED {enabled}\r\n")
    assert '* LIST (\\HasNoChildren) "/" "Tom&Jérôme"\r\n' in one.say('LIST "" "Tom*"')
    assert "T OK " in one.say('CREATE "Käse/&"')
    assert '* LIST (\\HasNoChildren) "/" "K&AOQ-se/&-"\r\n' in two.say('LIST "" K&AOQ-se/%')
    assert '* STATUS "Käse/&" (MESSAGES 0)\r\n' in one.say('LIST "" "Käse/%" RETURN (STATUS (MESSAGES))')
    name = "Käse/&".encode()
    said = one.send(b"T APPEND {%d+}\r\n%b {3+}\r\nabc\r\n" % (len(name), name))
    assert said.startswith("T OK [APPENDUID ")
    assert one.say('STATUS "Käse/&" (MESSAGES)').startswith('* STATUS "Käse/&" (MESSAGES 1)\r\n')
    assert '* QUOTAROOT "Käse/&" ""' in one.say('GETQUOTAROOT "Käse/&"')
    assert "T OK " in one.say('SUBSCRIBE "Käse/&"')
    assert '* LSUB () "/" "Käse/&"\r\n' in one.say('LSUB "" "Käse/%"')
    assert "T OK " in one.say('RENAME "Käse/&" "Brot"')
    assert "T OK [READ-WRITE]" in one.say('SELECT "Brot"')
    assert one.send(b'T SELECT "\xff"\r\n').endswith("T NO [CANNOT] the name is not UTF-8\r\n")


def test_a_message_in_utf8(pair: tuple[Client, Client]) -> None:
    one, two = pair
    message = "Subject: Käse\r\n\r\n".encode()
    put = b"T APPEND INBOX UTF8 (~{%d+}\r\n%b)\r\n" % (len(message), message)
    assert one.send(put).startswith("T BAD literal expected")
    one.say("ENABLE UTF8=ACCEPT")
    assert "APPENDUID" in one.send(put)
    two.say("NOOP")
    assert "* SEARCH 4\r\n" in two.say('SEARCH CHARSET UTF-8 SUBJECT "käse"')
    assert one.say("SEARCH CHARSET ISO-8859-1 SUBJECT x").startswith("T BAD no CHARSET")
    assert "* SEARCH 4\r\n" in one.say('SEARCH CHARSET UTF-8 SUBJECT "käse"')
    assert one.send(b"T APPEND INBOX UTF8 (~{1+}\r\na\r\n").startswith("T BAD ")
    assert one.say("ENABLE IMAP4rev2").startswith("* ENABLED IMAP4rev2\r\n")
    assert "ALL 4\r\n" in one.say('SEARCH CHARSET UTF-8 SUBJECT "käse"')
