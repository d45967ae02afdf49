"""A private directory made by an older version gets the schema of this one when it starts."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import ldap3
import pytest
from following import SUFFIX, Slapd, company

from directory import embedded, embedded_schema
from directory.data import data_folder
from directory.embedded import SlapdFailed


def test_an_older_schema_is_brought_up_to_date_at_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    older = tmp_path / "schema"
    shutil.copytree(data_folder("schema"), older)
    text = re.sub(r"\n ", "", (older / "gatepost.ldif").read_text())
    lines = [line for line in text.splitlines() if "NAME 'gatepostJournal'" not in line]
    text = "\n".join(lines).replace(" $ gatepostJournal", "").replace("Mail account of a person", "As it once was")
    (older / "gatepost.ldif").write_text(text + "\n")
    monkeypatch.setattr(embedded, "data_folder", lambda name: older if name == "schema" else data_folder(name))
    change = {"gatepostJournal": [(ldap3.MODIFY_ADD, ["journal@example.com"])]}
    dn = f"cn=example.com,ou=domains,{SUFFIX}"
    with monkeypatch.context() as before:
        before.setattr(embedded_schema, "update", lambda socket: 0)
        slapd = Slapd(tmp_path / "ldap", company("jane"))
    try:
        with slapd.admin() as admin:
            assert not admin.modify(dn, change)
        slapd.stop()
        slapd.restart()
        with slapd.admin() as admin:
            assert admin.modify(dn, change), admin.result
            admin.search(SUFFIX, "(objectClass=gatepostAccount)", attributes=["gatepostAddress"])
            assert len(admin.response) == 1
        assert embedded_schema.update(slapd.directory.socket) == 0
    finally:
        slapd.stop()


def test_a_schema_that_the_server_refuses_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slapd = Slapd(tmp_path / "ldap", company("jane"))
    slapd.stop()
    monkeypatch.setattr(
        embedded_schema, "openldap_definitions", lambda: {"olcAttributeTypes": ("( 1.2.3.4 NAME 'x' SYNTAX 9.9 )",)}
    )
    with pytest.raises(SlapdFailed, match="schema of the private directory: olcAttributeTypes"):
        slapd.restart()
