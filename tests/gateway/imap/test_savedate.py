"""When a message came into its mailbox (RFC 8514)."""

from __future__ import annotations

import re
import time

from two_sessions import Client

from gateway.imap.dates import read_date_time

pytest_plugins = ["session_fixtures"]

_SAVED = re.compile(r'SAVEDATE "([^"]+)"')
OLD = b'T APPEND INBOX "07-Feb-2001 22:09:01 +0000" {1+}\r\na\r\n'


def day(seconds: float) -> str:
    return time.strftime("%d-%b-%Y", time.gmtime(seconds))


def test_the_date_of_a_copy_is_that_of_the_copying(pair: tuple[Client, Client]) -> None:
    one, two = pair
    before = time.time()
    one.send(OLD)
    one.say("UID COPY 4 Trash")
    two.say("SELECT Trash")
    said = two.say("FETCH 1 (SAVEDATE INTERNALDATE)")
    assert "07-Feb-2001" in said.replace('" 7', '"07')
    (saved,) = _SAVED.findall(said)
    at = read_date_time(saved.encode())
    assert at is not None
    assert int(before) <= at <= time.time()


def test_searching_for_it(pair: tuple[Client, Client]) -> None:
    one, two = pair
    one.send(OLD)
    today, yesterday = day(time.time()), day(time.time() - 86400)
    two.say("NOOP")
    assert "* SEARCH 1 2 3 4\r\n" in two.say(f"SEARCH SAVEDSINCE {yesterday}")
    assert "* SEARCH\r\n" in two.say(f"SEARCH SAVEDBEFORE {yesterday}")
    assert "* SEARCH\r\n" in two.say(f"SEARCH SAVEDON {yesterday} NOT SAVEDON {today}")
    assert "* SEARCH 4\r\n" in two.say(f"SEARCH NOT SENTSINCE 1-Jan-2002 SAVEDSINCE {yesterday}")
    assert "* SEARCH 1 2 3 4\r\n" in two.say("SEARCH SAVEDATESUPPORTED")
    for wrong in ("SAVEDON", "SAVEDON 1", "SAVEDSINCE 40-Jan-2000", "SAVEDATE"):
        assert two.say(f"SEARCH {wrong}").startswith("T BAD "), wrong
