"""Brings the schema of a private slapd up to date: what a newer Gatepost adds is added, nothing is taken out.

A directory made by an older version keeps its `cn=config`; without this the server would refuse attributes
that it has never heard of.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import ldap3
from ldap3.core.exceptions import LDAPException

from directory.schema import openldap_definitions

TIMEOUT_SECONDS = 10
_ORDERED = re.compile(r"^\{(\d+)\}")
_OID = re.compile(r"\(\s*([0-9.]+)\s")
_NAMES = tuple(openldap_definitions())


class SchemaProblem(Exception):
    """The server did not take the schema; the message says what it said."""


def _oid(definition: str) -> str:
    match = _OID.search(definition)
    return match[1] if match else definition


def _plain(definition: str) -> str:
    """Without the server's number and its way to space."""
    return " ".join(_ORDERED.sub("", definition).replace("(", " ( ").replace(")", " ) ").split())


def _changes(have: list[str], want: tuple[str, ...]) -> list[tuple[str, list[str]]]:
    """Modifications that turn `have` into `want`, ids that `want` does not know left alone."""
    known = {_oid(text): text for text in have}
    stale = [known[_oid(text)] for text in want if _oid(text) in known and _plain(known[_oid(text)]) != _plain(text)]
    fresh = [text for text in want if _oid(text) not in known or known[_oid(text)] in stale]
    return [
        (operation, values) for operation, values in ((ldap3.MODIFY_DELETE, stale), (ldap3.MODIFY_ADD, fresh)) if values
    ]


def update(socket: Path) -> int:
    """Bring the server behind the ldapi socket up to date; how many definitions changed. Raises SchemaProblem.

    The caller must be one whom `cn=config` lets manage it.
    """
    server = ldap3.Server(f"ldapi://{socket}", get_info=ldap3.NONE, connect_timeout=TIMEOUT_SECONDS)
    connection: Any = ldap3.Connection(
        server, authentication=ldap3.SASL, sasl_mechanism=ldap3.EXTERNAL, sasl_credentials="", check_names=False,
        receive_timeout=TIMEOUT_SECONDS, raise_exceptions=False,
    )  # fmt: skip
    try:
        connection.bind()
        connection.search(
            "cn=schema,cn=config", "(cn=*gatepost)", ldap3.LEVEL, ldap3.DEREF_NEVER, attributes=list(_NAMES)
        )
        entries = [entry for entry in connection.response or () if entry["type"] == "searchResEntry"]
        if len(entries) != 1:
            raise SchemaProblem(
                f"cn=gatepost,cn=schema,cn=config: {connection.result['description']}, {len(entries)} entries"
            )
        changed = 0
        for name, want in openldap_definitions().items():  # attributes first: classes name them
            have = [value.decode() for value in entries[0]["raw_attributes"].get(name, ())]
            modifications = _changes(have, want)
            if not modifications:
                continue
            if not connection.modify(entries[0]["dn"], {name: modifications}):
                raise SchemaProblem(f"{name}: {connection.result['description']} {connection.result['message']}")
            changed += sum(len(values) for operation, values in modifications if operation == ldap3.MODIFY_ADD)
        return changed
    except (LDAPException, OSError) as error:
        raise SchemaProblem(str(error)) from error
    finally:
        try:
            connection.unbind()
        except (LDAPException, OSError):
            pass
