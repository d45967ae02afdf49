"""The client against mail hosts of every kind: what goes over the wire, and what becomes of each recipient."""

from __future__ import annotations

import pytest
from scripted_smtp import EHLO, scripted_smtp
from sending import BODY, WIRE, Sending, parcel, send_one, sending, told

from directory.model import Condition, Deferred, Refused
from gateway.deliver.port import Addressee, Taken
from gateway.route.next_hop import NextHop
from gateway.route.relay_settings import Timeouts


def smtp(port: int, **more: str) -> NextHop:
    return NextHop("smtp", "127.0.0.1", port, **more)  # type: ignore[arg-type]


def test_journals_are_mentioned_to_hosts_that_know_the_word() -> None:
    for ehlo, said in (((*EHLO, "XJOURNALLED"), True), (EHLO, False)):
        with scripted_smtp(ehlo=ehlo) as host:
            send_one(smtp(host.port), parcel(XJOURNALLED=""))
            assert host.messages[0][0].endswith(" XJOURNALLED") is said


def test_a_message_arrives_as_it_was_with_dots(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    with scripted_smtp() as host:
        outcomes = send_one(smtp(host.port), parcel("a@far.example", "b@far.example"))
    assert outcomes == [Taken("127.0.0.1", "250 2.0.0 kept as 1")] * 2
    assert host.messages == [
        (f"MAIL FROM:<me@here.example> SIZE={len(WIRE)}", ["RCPT TO:<a@far.example>", "RCPT TO:<b@far.example>"], WIRE)
    ]
    assert host.verbs() == ["EHLO", "MAIL", "RCPT", "RCPT", "DATA", "QUIT"]
    assert "id=m1 event=handed-on host=127.0.0.1 address=127.0.0.1 recipients=2" in caplog.text


def test_chunks() -> None:
    body = BODY + b"x" * 900 + b"\n.\n" + b"".join(b"line %d\n" % n for n in range(30_000))
    with scripted_smtp(ehlo=(*EHLO, "CHUNKING")) as host:
        assert told(send_one(smtp(host.port), parcel(body=body))) == ["taken"]
    assert host.messages[0][2] == body.replace(b"\n", b"\r\n")
    assert host.verbs().count("BDAT") > 2 and "DATA" not in host.verbs()


def test_a_chunk_that_is_refused_ends_the_message() -> None:
    body = BODY + b"".join(b"line %d\n" % n for n in range(30_000))
    with scripted_smtp(ehlo=(*EHLO, "CHUNKING"), replies={"BDAT": "552 5.3.4 enough"}) as host:
        assert told(send_one(smtp(host.port), parcel(body=body))) == ["refused 5.3.4"]
    assert host.verbs().count("BDAT") == 1


def test_a_host_without_extensions_is_greeted_with_helo_and_asked_step_by_step() -> None:
    with scripted_smtp(replies={"EHLO": "502 what?"}) as host:
        assert told(send_one(smtp(host.port), parcel("a@far.example", "b@far.example"))) == ["taken"] * 2
    assert host.verbs()[:2] == ["EHLO", "HELO"]
    assert host.messages[0][0] == "MAIL FROM:<me@here.example>"


@pytest.mark.parametrize("ehlo", [EHLO, ("8BITMIME",)])
def test_each_recipient_has_an_outcome_of_his_own(ehlo: tuple[str, ...]) -> None:
    replies = {
        "RCPT TO:<b@far.example>": "550 5.1.1 who?",
        "RCPT TO:<c@far.example>": "450 4.2.1 later",
        "RCPT TO:<d@far.example>": "552 too many recipients",
        "RCPT TO:<e@far.example>": "553 unknown",
    }
    with scripted_smtp(replies=replies, ehlo=ehlo) as host:
        outcomes = send_one(smtp(host.port), parcel(*(f"{name}@far.example" for name in "abcde")))
    assert told(outcomes) == ["taken", "refused 5.1.1", "deferred 4.2.1", "deferred 4.4.0", "refused 5.0.0"]
    assert isinstance(outcomes[1], Refused)
    assert (outcomes[1].host, outcomes[1].reply) == ("127.0.0.1", "550 5.1.1 who?")
    assert host.messages[0][1] == ["RCPT TO:<a@far.example>"]


@pytest.mark.parametrize("ehlo", [EHLO, ("8BITMIME",), (*EHLO, "CHUNKING")])
def test_nobody_is_taken(ehlo: tuple[str, ...]) -> None:
    with scripted_smtp(replies={"RCPT": "550 5.1.1 no"}, ehlo=ehlo) as host:
        assert told(send_one(smtp(host.port), parcel("a@far.example", "b@far.example"))) == ["refused 5.1.1"] * 2
    assert host.messages == []


def test_a_host_that_wants_a_message_for_nobody_gets_an_empty_one() -> None:
    with scripted_smtp(replies={"RCPT": "550 5.1.1 no", "DATA": "354 go"}) as host:
        assert told(send_one(smtp(host.port), parcel())) == ["refused 5.1.1"]
    assert host.messages[0][2] == b"" and host.verbs()[-1] == "QUIT"


@pytest.mark.parametrize(
    ("key", "said", "expected"),
    [
        ("MAIL", "550 5.7.1 not you", "refused 5.7.1"),
        ("MAIL", "552 5.3.4 smaller than I said", "refused 5.3.4"),
        ("MAIL", "451 4.7.1 later", "deferred 4.7.1"),
        ("DATA", "554 no", "refused 5.0.0"),
        ("DATA", "450 later", "deferred 4.4.0"),
        ("DATA", "250 2.0.0 what", "deferred 4.4.0"),
        ("CONTENT", "554 5.7.1 spam", "refused 5.7.1"),
        ("CONTENT", "452 4.3.1 full", "deferred 4.3.1"),
        ("CONTENT", "554 4.3.1 mixed up", "refused 5.0.0"),
        ("EHLO", "421 4.3.2 closing", "deferred 4.3.2"),
        ("GREETING", "554 5.7.1 no mail from you", "deferred 4.4.0"),
        ("GREETING", "HTTP/1.0 200 OK", "deferred 4.4.1"),
        ("GREETING", "199 hm", "deferred 4.4.1"),
        ("GREETING", "SILENT", "deferred 4.4.1"),
        ("GREETING", "DROP", "deferred 4.4.1"),
        ("EHLO", "HALF", "deferred 4.4.1"),
        ("EHLO", "250-endless\r\n251 what", "deferred 4.4.1"),
        ("MAIL", "SILENT", "deferred 4.4.2"),
        ("MAIL", "x" * 9000, "deferred 4.4.2"),
        ("RCPT", "DROP", "deferred 4.4.2"),
        ("RCPT", "HALF", "deferred 4.4.2"),
        ("RCPT", "354 go", "deferred 4.4.0"),
        ("DATA", "SILENT", "deferred 4.4.2"),
        ("CONTENT", "SILENT", "deferred 4.4.2"),
        ("CONTENT", "HALF", "deferred 4.4.2"),
        ("CONTENT", "DROP", "deferred 4.4.2"),
        ("QUIT", "DROP", "taken"),
        ("CONTENT", "CUT-NEXT 250 ok", "taken"),
        ("CONTENT", "SLOW 250 2.0.0 at last", "taken"),
    ],
)  # fmt: skip
def test_rough_hosts(key: str, said: str, expected: str) -> None:
    with scripted_smtp(replies={key: said}) as host:
        assert told(send_one(smtp(host.port), parcel())) == [expected]
    assert host.sessions == 1


@pytest.mark.parametrize(
    "bad", ["a\r\nRCPT TO:<b@far.example>", "a>b@far.example", '"a\r\n"@far.example', "a b@far.example"]
)
def test_an_address_never_ends_a_command(bad: str) -> None:
    with scripted_smtp() as host:
        assert told(send_one(smtp(host.port), parcel(bad, "ok@far.example"))) == ["refused 5.1.1", "taken"]
        assert told(send_one(smtp(host.port), parcel(path=bad))) == ["refused 5.6.0"]
        assert told(send_one(smtp(host.port), parcel('"a b>"@far.example'))) == ["taken"]
    assert host.verbs().count("RCPT") == 2


def test_nobody_listens() -> None:
    with scripted_smtp() as host:
        pass
    assert told(send_one(smtp(host.port), parcel())) == ["deferred 4.4.1"]


def test_a_connection_cut_behind_the_end_is_said_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with scripted_smtp(replies={"CONTENT": "DROP"}) as host:
        outcomes = send_one(smtp(host.port), parcel("a@far.example", "b@far.example"))
    assert len(host.messages) == 1 and host.sessions == 1
    assert told(outcomes) == ["deferred 4.4.2"] * 2 and "it may come twice" in str(outcomes[0])
    assert "id=m1 event=unanswered host=127.0.0.1" in caplog.text


def test_what_a_host_says_while_it_hangs_up_counts() -> None:
    body = BODY + b"".join(b"line %d\n" % n for n in range(300_000))
    with scripted_smtp(close_in_data=100_000, replies={"CONTENT": "552 5.3.4 too large"}, ehlo=("PIPELINING",)) as host:
        outcomes = send_one(smtp(host.port), parcel(body=body))
    assert told(outcomes) in (["refused 5.3.4"], ["deferred 4.4.2"])  # the kernel may throw the reply away
    assert host.messages == []


def test_lmtp_answers_for_each_recipient() -> None:
    replies = {"CONTENT RCPT TO:<b@far.example>": "552 5.2.2 full", "CONTENT RCPT TO:<c@far.example>": "HALF"}
    with scripted_smtp(lmtp=True, replies=replies) as host:
        hop = NextHop("lmtp", "127.0.0.1", host.port)
        outcomes = send_one(hop, parcel("a@far.example", "b@far.example", "c@far.example", "d@far.example"))
    assert told(outcomes) == ["taken", "refused 5.2.2", "deferred 4.4.2", "deferred 4.4.2"]
    assert host.verbs()[0] == "LHLO"


def test_sizes() -> None:
    with scripted_smtp(ehlo=("SIZE 20", "PIPELINING")) as host:
        outcomes = send_one(smtp(host.port), parcel())
        assert told(outcomes) == ["refused 5.3.4"] and "MAIL" not in host.verbs()
    for size in ("SIZE 0", "SIZE", "SIZE lots"):
        with scripted_smtp(ehlo=(size, "PIPELINING")) as host:
            assert told(send_one(smtp(host.port), parcel())) == ["taken"]


def test_reports_are_asked_of_hosts_that_make_them() -> None:
    one = Addressee("a@far.example", frozenset({"SUCCESS", "FAILURE"}), "rfc822;a+2B@here.example")
    with scripted_smtp(ehlo=(*EHLO, "DSN")) as host:
        outcomes = send_one(smtp(host.port), parcel(one, "b@far.example", RET="HDRS", ENVID="q1", BODY="8BITMIME"))
    assert [isinstance(each, Taken) and each.dsn for each in outcomes] == [True, True]
    mail, rcpts, _ = host.messages[0]
    assert mail == f"MAIL FROM:<me@here.example> SIZE={len(WIRE)} RET=HDRS ENVID=q1"
    assert rcpts == [
        "RCPT TO:<a@far.example> NOTIFY=FAILURE,SUCCESS ORCPT=rfc822;a+2B@here.example",
        "RCPT TO:<b@far.example>",
    ]
    with scripted_smtp() as host:
        outcomes = send_one(smtp(host.port), parcel(one, RET="HDRS", ENVID="q1"))
    assert isinstance(outcomes[0], Taken) and not outcomes[0].dsn
    assert "RET" not in host.messages[0][0] and host.messages[0][1] == ["RCPT TO:<a@far.example>"]


def test_international_addresses_need_a_host_that_takes_them() -> None:
    message = parcel("ü@far.example", "b@far.example")
    with scripted_smtp() as host:
        outcomes = send_one(smtp(host.port), message)
        assert told(outcomes) == ["refused 5.6.7", "taken"]
        assert told(send_one(smtp(host.port), parcel(path="ü@here.example"))) == ["refused 5.6.7"]
    with scripted_smtp(ehlo=(*EHLO, "SMTPUTF8")) as host:
        assert told(send_one(smtp(host.port), message)) == ["taken", "taken"]
        assert host.messages[0][0].endswith(" SMTPUTF8")


def test_a_header_in_utf8_needs_it_when_the_sender_said_so() -> None:
    body = "Subject: grüße\n\nhello\n".encode()
    with scripted_smtp() as host:
        assert told(send_one(smtp(host.port), parcel(body=body, SMTPUTF8=""))) == ["refused 5.6.7"]
        assert told(send_one(smtp(host.port), parcel(body=body))) == ["taken"]  # as most hosts do
        assert told(send_one(smtp(host.port), parcel(SMTPUTF8=""))) == ["taken"]  # not needed after all


def test_connections_are_used_again() -> None:
    with scripted_smtp() as host:

        async def work(bench: Sending) -> None:
            for _ in range(3):
                assert told(await bench.send(smtp(host.port), parcel())) == ["taken"]
            assert host.sessions == 1 and len(bench.connections) == 1
            assert host.verbs() == ["EHLO", *["MAIL", "RCPT", "DATA"], *["RSET", "MAIL", "RCPT", "DATA"] * 2]

        sending(work)
        assert len(host.messages) == 3 and host.verbs()[-1] == "QUIT"


def test_connections_are_bounded_in_number_uses_and_time() -> None:
    with scripted_smtp() as one, scripted_smtp() as two:

        async def work(bench: Sending) -> None:
            now = 1000.0
            bench.now = lambda: now
            for host in (one, two):
                await bench.send(smtp(host.port), parcel())
            assert len(bench.connections) == 1  # the older one was ended
            await bench.send(smtp(two.port), parcel())
            assert len(bench.connections) == 0 and two.sessions == 1  # two messages were enough for it
            await bench.send(smtp(two.port), parcel())
            now += 11
            await bench.send(smtp(two.port), parcel())
            assert two.sessions == 3
            now += 11
            await bench.connections.sweep()
            assert len(bench.connections) == 0

        sending(work, idle_connections=1, messages_per_connection=2)


@pytest.mark.parametrize("replies", [{"CONTENT": "CUT-NEXT 250 ok"}, {"RSET": "DROP"}, {"RSET": "421 bye"}])
def test_a_kept_connection_that_the_host_ended_is_nobodys_failure(replies: dict[str, str]) -> None:
    with scripted_smtp(replies=replies) as host:

        async def work(bench: Sending) -> None:
            for _ in range(3):
                assert told(await bench.send(smtp(host.port), parcel())) == ["taken"]

        sending(work)
    assert len(host.messages) == 3


def test_hops_do_not_share_connections() -> None:
    with scripted_smtp() as host:

        async def work(bench: Sending) -> None:
            await bench.send(smtp(host.port), parcel())
            await bench.send(smtp(host.port, source="127.0.0.1"), parcel())

        sending(work)
    assert host.sessions == 2


def test_the_source_address() -> None:
    with scripted_smtp() as host:
        assert told(send_one(smtp(host.port, source="::1 127.0.0.3"), parcel())) == ["taken"]
        assert host.peers == ["127.0.0.3"]
        assert told(send_one(smtp(host.port, source="192.0.2.1"), parcel())) == ["deferred 4.4.1"]


ZONE = {
    "far.example MX": ["10 one.far.example.", "20 two.far.example."],
    "one.far.example A": ["127.0.0.2"],
    "two.far.example A": ["127.0.0.3"],
    "v6.example MX": ["10 v6.example."],
    "v6.example AAAA": ["::1"],
    "v6.example A": ["127.0.0.1"],
    "null.example MX": ["0 ."],
    "loop.example MX": ["10 us.example.com."],
    "ours.example MX": ["10 one.far.example."],
}


def test_the_next_host_is_tried_when_the_first_does_not_talk() -> None:
    for replies, used in (({"GREETING": "421 busy"}, 2), ({"MAIL": "450 4.7.1 later"}, 1)):
        with scripted_smtp("127.0.0.2", replies=replies) as one, scripted_smtp("127.0.0.3", port=one.port) as two:
            outcomes = send_one(NextHop("mx", "far.example", one.port), parcel(), ZONE)
            assert (len(two.messages), told(outcomes)) == ((1, ["taken"]) if used == 2 else (0, ["deferred 4.7.1"]))


def test_a_lost_reply_is_not_tried_at_the_next_host_at_once() -> None:
    with (
        scripted_smtp("127.0.0.2", replies={"CONTENT": "DROP"}) as one,
        scripted_smtp("127.0.0.3", port=one.port) as two,
    ):
        assert told(send_one(NextHop("mx", "far.example", one.port), parcel(), ZONE)) == ["deferred 4.4.2"]
    assert two.sessions == 0


def test_both_families() -> None:
    with scripted_smtp("::1") as host:
        assert told(send_one(NextHop("mx", "v6.example", host.port), parcel(), ZONE)) == ["taken"]
        outcomes = send_one(NextHop("mx", "v6.example", host.port), parcel(), ZONE, families=("ipv4",))
        assert told(outcomes) == ["deferred 4.4.1"]
    with scripted_smtp("127.0.0.1") as host:  # IPv6 does not answer there
        assert told(send_one(NextHop("mx", "v6.example", host.port), parcel(), ZONE)) == ["taken"]


@pytest.mark.parametrize(
    ("domain", "expected"),
    [("null.example", "refused 5.1.10"), ("loop.example", "refused 5.4.6"), ("nowhere.org", "refused 5.1.2"),
     ("ours.example", "refused 5.4.6")],
)  # fmt: skip
def test_domains_without_a_way(domain: str, expected: str) -> None:
    assert told(send_one(NextHop("mx", domain, 25), parcel(), ZONE, own="127.0.0.2")) == [expected]


def test_private_addresses_are_not_connected_to() -> None:
    with scripted_smtp("127.0.0.2") as host:
        outcomes = send_one(NextHop("mx", "far.example", host.port), parcel(), ZONE, allow_private=False)
        assert told(outcomes) == ["deferred 4.4.4"] and host.sessions == 0


def test_other_hosts_of_a_way() -> None:
    with scripted_smtp() as dead:
        pass
    with scripted_smtp("127.0.0.2") as host:
        hop = NextHop("smtp", "127.0.0.1", dead.port, others=(("127.0.0.2", host.port),))
        assert told(send_one(hop, parcel())) == ["taken"]


def test_the_first_of_two_ports_of_one_host_is_tried_too() -> None:
    with scripted_smtp() as dead:
        pass
    with scripted_smtp() as host:
        hop = NextHop("smtp", "127.0.0.1", host.port, others=(("127.0.0.1", dead.port),))
        assert told(send_one(hop, parcel())) == ["taken"]


def test_a_slow_host_costs_a_phase_not_for_ever() -> None:
    with scripted_smtp(replies={"CONTENT": "SILENT"}) as host:
        times = Timeouts(connect=3, greeting=1, command=1, data=1, block=1, end=0.2, tls=1)
        outcomes = send_one(smtp(host.port), parcel(), timeouts=times)
    assert isinstance(outcomes[0], Deferred) and outcomes[0].condition is Condition.REMOTE_DEFERRED


EIGHT_BIT = (
    "MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\ngrüße\n".encode()
)


def test_eight_bit_text_goes_as_it_is_or_encoded() -> None:
    with scripted_smtp() as host:
        assert told(send_one(smtp(host.port), parcel(body=EIGHT_BIT))) == ["taken"]
        assert " BODY=8BITMIME" in host.messages[0][0] and "grüße".encode() in host.messages[0][2]
    with scripted_smtp(ehlo=("PIPELINING", "SIZE")) as host:
        assert told(send_one(smtp(host.port), parcel(body=EIGHT_BIT))) == ["taken"]
        mail, _, content = host.messages[0]
        assert "BODY" not in mail and b"gr=C3=BC=C3=9Fe\r\n" in content
        assert mail.endswith(f" SIZE={len(content)}")
        signed = b"Content-Type: multipart/signed; boundary=b\n\n--b\n\n\xff\n--b--\n"
        assert told(send_one(smtp(host.port), parcel(body=signed))) == ["refused 5.6.3"]


def test_long_lines_are_folded_where_that_is_right() -> None:
    with scripted_smtp() as host:
        assert told(send_one(smtp(host.port), parcel(body=b"Subject: x\n\n" + b"y" * 5000 + b"\n"))) == ["taken"]
        assert told(send_one(smtp(host.port), parcel(body=b"Subject: " + b"x" * 1200 + b"\n\nz\n"))) == ["taken"]
    assert max(map(len, host.messages[0][2].split(b"\r\n"))) <= 998
    assert b"x" * 1200 in host.messages[1][2]
