"""NOTIFY (RFC 5465): what another session does in mailboxes that are not selected is told without being asked for."""

from __future__ import annotations

import pytest
from two_sessions import Client, World

pytest_plugins = ["session_fixtures"]
ALL = "(MessageNew MessageExpunge FlagChange MailboxName)"


@pytest.fixture
def two(world: World) -> tuple[Client, Client]:
    worker = world.worker()
    return worker.session(), worker.session()


def test_changes_elsewhere_are_told_as_status(two: tuple[Client, Client]) -> None:
    one, other = two
    said = one.say("NOTIFY SET STATUS (personal (MessageNew MessageExpunge))")
    assert '* STATUS "INBOX" (MESSAGES 0 UNSEEN 0 UIDNEXT 1 UIDVALIDITY ' in said
    assert said.count("* STATUS ") == 6
    assert said.endswith("T OK NOTIFY completed\r\n")
    assert one.woken() == ""
    other.executor.host.deliver()  # type: ignore[attr-defined]
    assert one.woken_times
    assert one.woken().startswith('* STATUS "INBOX" (MESSAGES 1 UNSEEN 1 UIDNEXT 2 ')
    assert one.woken() == ""
    other.say("SELECT INBOX")
    other.say("STORE 1 +FLAGS (\\Seen)")
    assert one.woken() == ""  # not one of the events
    other.say("MOVE 1 Archive")
    assert one.woken().count("* STATUS ") == 2
    assert one.say("NOTIFY NONE") == "T OK NOTIFY completed\r\n"
    other.executor.host.deliver()  # type: ignore[attr-defined]
    assert one.woken() == ""


def test_flags_and_names(two: tuple[Client, Client]) -> None:
    one, other = two
    other.executor.host.deliver()  # type: ignore[attr-defined]
    one.say(f"NOTIFY SET (subtree (Work INBOX) {ALL}) (personal NONE)")
    other.say("CREATE Work/2026")
    assert one.woken() == '* LIST () "/" "Work"\r\n* STATUS "Work" ' + one_figures(other, "Work") + (
        '* LIST () "/" "Work/2026"\r\n* STATUS "Work/2026" ' + one_figures(other, "Work/2026")
    )
    other.say("RENAME Work/2026 Work/2027")
    assert '* LIST () "/" "Work/2027" ("OLDNAME" ("Work/2026"))\r\n' in one.woken()
    other.say("DELETE Work/2027")
    assert '* LIST (\\NonExistent) "/" "Work/2027"\r\n' in one.woken()
    other.say("CREATE Play")
    other.say("SELECT INBOX")
    assert one.woken() == ""
    other.say("STORE 1 +FLAGS (\\Seen)")
    assert '* STATUS "INBOX" (MESSAGES 1 UNSEEN 0 ' in one.woken()


def one_figures(client: Client, name: str) -> str:
    said = client.say(f"STATUS {name} (MESSAGES UNSEEN UIDNEXT UIDVALIDITY)")
    return said.partition(f'"{name}" ')[2].partition("T OK")[0]


def test_the_selected_mailbox_is_told_with_what_was_asked_for(two: tuple[Client, Client]) -> None:
    one, other = two
    deliver = other.executor.host.deliver  # type: ignore[attr-defined]
    deliver()
    one.say("SELECT INBOX")
    other.say("SELECT INBOX")
    one.say("NOTIFY SET (selected (MessageNew (UID FLAGS BODY.PEEK[TEXT]) MessageExpunge FlagChange))")
    assert one.woken() == ""
    deliver()
    assert one.woken() == "* 2 EXISTS\r\n* 2 FETCH (UID 2 FLAGS () BODY[TEXT] {6}\r\nbody\r\n)\r\n"
    other.say("STORE 1 +FLAGS (\\Deleted)")
    assert one.woken() == "* 1 FETCH (UID 1 FLAGS (\\Deleted))\r\n"
    other.say("EXPUNGE")
    assert one.woken() == "* 1 EXPUNGE\r\n"


def test_a_delayed_expunge_waits_for_a_command(two: tuple[Client, Client]) -> None:
    one, other = two
    other.executor.host.deliver()  # type: ignore[attr-defined]
    one.say("SELECT INBOX")
    one.say("NOTIFY SET (selected-delayed (MessageNew MessageExpunge)) (inboxes (MessageNew MessageExpunge))")
    other.say("SELECT INBOX")
    other.say("STORE 1 +FLAGS (\\Deleted)")
    other.say("EXPUNGE")
    assert "EXPUNGE" not in one.woken()
    assert one.say("NOOP") == "* 1 EXPUNGE\r\nT OK NOOP completed\r\n"


def test_news_come_with_other_commands_and_in_idle_but_not_into_an_append(two: tuple[Client, Client]) -> None:
    one, other = two
    deliver = other.executor.host.deliver  # type: ignore[attr-defined]
    one.say("NOTIFY SET (mailboxes INBOX (MessageNew MessageExpunge))")
    deliver()
    assert one.say("NOOP").startswith('* STATUS "INBOX" (MESSAGES 1 ')
    assert one.say("IDLE") == "+ idling\r\n"
    deliver()
    assert one.woken().startswith('* STATUS "INBOX" (MESSAGES 2 ')
    one.send(b"DONE\r\n")
    assert one.say("APPEND Sent {9}") == "+ go ahead\r\n"
    deliver()
    assert one.woken() == ""
    assert '* STATUS "INBOX" (MESSAGES 3 ' in one.send(b"X: y\r\n\r\nz\r\n")


@pytest.mark.parametrize(
    ("said", "answered"),
    [
        ("NOTIFY", "T BAD "), ("NOTIFY SET", "T BAD "), ("NOTIFY SET (personal)", "T BAD "), ("NOTIFY SET (everything NONE)", "T BAD "),
        ("NOTIFY SET (personal (MessageNew))", "T BAD "), ("NOTIFY SET (personal (FlagChange))", "T BAD "),
        ("NOTIFY SET (personal (MessageNew (UID) MessageExpunge))", "T BAD "),
        ("NOTIFY SET (selected NONE) (selected NONE)", "T BAD "),
        ("NOTIFY SET (personal (AnnotationChange))", "T NO [BADEVENT (MessageNew MessageExpunge FlagChange MailboxName)] "),
    ],
)  # fmt: skip
def test_refusals(two: tuple[Client, Client], said: str, answered: str) -> None:
    one, other = two
    assert one.say(said).startswith(answered)
    other.executor.host.deliver()  # type: ignore[attr-defined]
    assert one.woken() == ""


def test_there_are_so_many_mailboxes_and_so_much_news(
    two: tuple[Client, Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = two
    monkeypatch.setattr("gateway.service.imap_notify.MAX_WATCHED", 5)
    assert one.say("NOTIFY SET (personal (MessageNew MessageExpunge))").startswith("T NO [LIMIT] ")
    assert one.say("NOTIFY SET (inboxes (MessageNew MessageExpunge))").startswith("T OK ")
    one.woken()
    monkeypatch.setattr("gateway.service.imap_notify.MAX_PENDING", 1)
    other.executor.host.deliver()  # type: ignore[attr-defined]
    assert one.woken() == "* OK [NOTIFICATIONOVERFLOW] too much has changed, NOTIFY has ended\r\n"
    other.executor.host.deliver()  # type: ignore[attr-defined]
    assert one.say("NOOP") == "T OK NOOP completed\r\n"


def test_what_comes_during_a_command_is_told_with_what_was_asked_for(two: tuple[Client, Client]) -> None:
    one, other = two
    one.say("SELECT INBOX")
    one.say("NOTIFY SET (selected (MessageNew (UID FLAGS) MessageExpunge))")
    other.executor.host.deliver()  # type: ignore[attr-defined]
    assert "* 1 EXISTS\r\n* 1 FETCH (UID 1 FLAGS ())\r\nT OK" in one.say("NOOP")
    assert one.woken() == ""


def test_after_a_hint_was_lost_everything_is_looked_at(world: World) -> None:
    """Who was killed has changed something, and nobody was told."""
    worker, other = world.worker(), world.worker()
    idle, one = worker.session("SELECT INBOX"), worker.session(f"NOTIFY SET (personal {ALL})")
    assert idle.say("IDLE") == "+ idling\r\n"
    other.stores._on_change = None
    other.deliver()
    assert (idle.woken(), one.woken()) == ("", "")
    worker.open_mailboxes.hint("", 0, 0)
    assert (idle.woken_times, one.woken_times) == (1, 1)
    assert idle.woken() == "* 1 EXISTS\r\n"
    assert one.woken().startswith('* STATUS "INBOX" (MESSAGES 1 ')
    worker.open_mailboxes.hint("", 0, 0)
    assert (idle.woken(), one.woken()) == ("", "")
