"""Whatever a client or a server sends: a login ends in an answer, never in another error, never as somebody else."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from directory.authenticator_bind import Verdict, policy_error, verdict_of
from directory.authenticator_memory import pair_hash, source_of
from directory.authenticator_tokens import is_token
from directory.login_mark import login_mark
from directory.login_rules import inside, possible
from directory.model import Refused
from directory.raw import RawEntry

ANYTHING = st.text(st.characters(exclude_categories=()), max_size=40)


@given(ANYTHING, ANYTHING)
def test_impossible_logins_are_refused_and_nothing_else(login: str, password: str) -> None:
    try:
        possible(login, password)
    except Refused:
        return
    assert password
    assert login.strip()
    assert "\0" not in login + password
    login.encode()
    password.encode()


@given(st.text(max_size=20), st.text(max_size=20), st.text(max_size=20), st.text(max_size=20))
def test_no_pair_answers_for_another(account: str, password: str, other_account: str, other: str) -> None:
    key = b"k" * 32
    same = (account, password) == (other_account, other)
    assert (pair_hash(key, account, password) == pair_hash(key, other_account, other)) == same


@given(st.binary(max_size=64))
def test_a_policy_control_of_any_octets(value: bytes) -> None:
    found = policy_error(value)
    assert found is None or 0 <= found <= 255


@given(st.integers(0, 130), st.text(max_size=80), st.binary(max_size=16))
def test_a_bind_is_right_only_with_success(code: int, message: str, value: bytes) -> None:
    control = {"1.3.6.1.4.1.42.2.27.8.5.1": {"value": value}}
    answer = verdict_of({"result": code, "description": "x", "message": message, "controls": control})
    if answer is not None and answer.verdict is Verdict.RIGHT:
        assert code == 0
    if answer is not None and answer.verdict is Verdict.WRONG:
        assert code == 49


def test_what_servers_say() -> None:
    def verdict(code: int, message: str = "", control: bytes | None = None) -> Verdict | None:
        controls = {"1.3.6.1.4.1.42.2.27.8.5.1": {"value": control}} if control is not None else {}
        answer = verdict_of({"result": code, "description": "", "message": message, "controls": controls})
        return answer.verdict if answer is not None else None

    ad = "80090308: LdapErr: DSID-0C090446, comment: AcceptSecurityContext error, data {}, v4563"
    assert verdict(0, control=b"0\x00") is Verdict.RIGHT
    assert verdict(0, control=b"0\x03\x81\x01\x02") is Verdict.MUST_CHANGE
    assert verdict(0, control=b"0\x06\xa0\x04\x80\x02\x0e\x10") is Verdict.RIGHT, "a warning only"
    assert verdict(49, control=b"0\x03\x81\x01\x00") is Verdict.MUST_CHANGE
    assert verdict(49, control=b"0\x03\x81\x01\x01") is Verdict.LOCKED
    assert verdict(49) is Verdict.WRONG
    assert verdict(19, "Exceed password retry limit. Please try later.") is Verdict.LOCKED
    assert verdict(53, "Account inactivated. Contact system administrator.") is Verdict.FORBIDDEN
    assert [verdict(49, ad.format(code)) for code in ("52e", "533", "773", "775", "701")] == [
        Verdict.WRONG, Verdict.FORBIDDEN, Verdict.MUST_CHANGE, Verdict.LOCKED, Verdict.FORBIDDEN,
    ]  # fmt: skip
    assert [verdict(code) for code in (1, 8, 13, 51, 52, 80)] == [None] * 6, "trouble proves nothing"


@given(st.text(max_size=30))
def test_an_address_of_any_text(text: str) -> None:
    source_of(text)
    assert not inside(text, ("not a network", "", "300.0.0.0/8"))


def test_places() -> None:
    assert source_of("::ffff:192.0.2.7") == source_of("192.0.2.7") == "192.0.2.7"
    assert source_of("2001:db8::1%eth0") == source_of("2001:db8::2") == "2001:db8::/64"
    assert source_of("unix") == ""
    assert is_token("gpa_") and is_token("gps_x") and not is_token("xgpa_")


def test_bookkeeping_of_the_server_is_no_change() -> None:
    def mark(**values: str) -> str:
        raw = RawEntry("x:1", "uid=j,o=x", {name: [value.encode()] for name, value in values.items()})
        return login_mark(raw).content

    plain = mark(uid="j")
    assert mark(uid="j", entrycsn="1", pwdfailuretime="2", lastlogontimestamp="3") == plain
    assert mark(uid="j", pwdchangedtime="1") != plain
    assert mark(uid="j", gatepoststatus="closed") != plain
    assert mark(uid="j", ab="c") != mark(uid="j", a="bc")
