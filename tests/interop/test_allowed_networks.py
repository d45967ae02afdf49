"""Logins from allowed networks only, changed while the service runs."""

from __future__ import annotations

import imaplib
from collections.abc import Iterator

import ldap3
import pytest
from conftest import RunningDemo, eventually


@pytest.fixture
def admin(demo: RunningDemo) -> Iterator[ldap3.Connection]:
    with demo.administrator() as connection:
        yield connection


def test_a_login_only_from_allowed_networks(demo: RunningDemo, admin: ldap3.Connection) -> None:
    def login() -> bool:
        with imaplib.IMAP4("127.0.0.1", demo.port("imap"), timeout=20) as client:
            try:
                client.login("emma", "emma-demo-password")
            except imaplib.IMAP4.error:
                return False
        return True

    assert login()
    dn = f"uid=emma,ou=people,{demo.facts['directory']['base']}"
    admin.modify(dn, {"gatepostAllowNet": [(ldap3.MODIFY_REPLACE, ["192.0.2.0/24"])]})
    eventually(lambda: not login(), 10)
    admin.modify(dn, {"gatepostAllowNet": [(ldap3.MODIFY_REPLACE, ["127.0.0.0/8"])]})
    eventually(login, 10)
