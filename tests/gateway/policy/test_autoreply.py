"""Who gets an automatic reply, by the rows of RFC 3834 2 and RFC 5230 4."""

from __future__ import annotations

import pytest

from directory.model import Account
from gateway.mail.header import scan
from gateway.policy.autoreply import is_away, period, why_not

TO_ME = "To: Ann <ann@example.com>\n"


def ask(fields: str, return_path: str = "bob@far.example") -> str | None:
    return why_not(
        scan(f"{fields}\nbody\n".encode()), return_path, lambda address: address.lower() == "ann@example.com"
    )


@pytest.mark.parametrize(
    "fields",
    [
        TO_ME,
        "Cc: someone@else.example, ann@example.com\n",
        "To: list@else.example\nResent-To: ANN@example.com\n",
        f"{TO_ME}Auto-Submitted: no\n",
        f"{TO_ME}Auto-Submitted: No (a person)\n",
        f"{TO_ME}Precedence: first-class\n",
        f"{TO_ME}X-Auto-Response-Suppress: DR, RN\n",
        f"To: broken <<a@b\n{TO_ME}",
    ],
)
def test_a_person_gets_one(fields: str) -> None:
    assert ask(fields) is None


@pytest.mark.parametrize(
    ("fields", "return_path", "reason"),
    [
        (TO_ME, "", "return path"),
        (TO_ME, "Ann@example.com", "from the person"),
        (TO_ME, "MAILER-DAEMON@far.example", "no person"),
        (TO_ME, "owner-news@far.example", "no person"),
        (TO_ME, "news-bounces@far.example", "no person"),
        (TO_ME, "news-bounces+ann=example.com@far.example", "no person"),
        (TO_ME, "NoReply@shop.example", "no person"),
        (f"{TO_ME}Auto-Submitted: auto-replied (vacation)\n", "bob@far.example", "automatically"),
        (f"{TO_ME}Auto-Submitted: auto-generated; x=y\n", "bob@far.example", "automatically"),
        (f"{TO_ME}List-Id: <news.far.example>\n", "bob@far.example", "list"),
        (f"{TO_ME}List-Unsubscribe: <mailto:x@y.example>\n", "bob@far.example", "list"),
        (f"{TO_ME}Precedence: Bulk\n", "bob@far.example", "bulk"),
        (f"{TO_ME}X-Auto-Response-Suppress: DR, OOF\n", "bob@far.example", "no reply"),
        ("To: undisclosed-recipients:;\n", "bob@far.example", "name the person"),
        ("To: team@example.com\n", "bob@far.example", "name the person"),
        ("To: broken <<ann@example.com\n", "bob@far.example", "name the person"),
    ],
)
def test_others_get_none(fields: str, return_path: str, reason: str) -> None:
    found = ask(fields, return_path)
    assert found is not None and reason in found


def test_the_absence_begins_and_ends_to_the_second() -> None:
    def away(now: float, **facts: float | bool) -> bool:
        return is_away(Account(id="a", dn="a", **facts), now)  # type: ignore[arg-type]

    assert not away(5)
    assert away(5, vacation=True)
    assert not away(5, vacation=False, vacation_start=1)
    assert [away(n, vacation=True, vacation_start=10, vacation_end=20) for n in (9, 10, 19, 20)] == [
        False,
        True,
        True,
        False,
    ]


def test_the_period_has_bounds() -> None:
    assert [period(Account(id="a", dn="a", vacation_days=days)) / 86400 for days in (None, -3, 0, 1, 30, 9999)] == [
        7, 1, 1, 1, 30, 365,
    ]  # fmt: skip
