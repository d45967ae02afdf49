"""docs/howto/openldap.md as an administrator types it, on a slapd that knows nothing of Gatepost."""

from __future__ import annotations

import os
import re
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from following import Following, eventually, free_port

from directory.embedded import find_slapd
from directory.settings import Bind, DirectorySettings

ROOT = Path(__file__).resolve().parents[2]
SUFFIX = "dc=corp,dc=example"
CONFIG = """dn: cn=config
objectClass: olcGlobal
cn: config
olcPidFile: {folder}/slapd.pid

dn: cn=module{{0}},cn=config
objectClass: olcModuleList
cn: module{{0}}
olcModulePath: /usr/lib/ldap
olcModuleLoad: back_mdb

dn: cn=schema,cn=config
objectClass: olcSchemaConfig
cn: schema

include: file:///etc/ldap/schema/core.ldif
include: file:///etc/ldap/schema/cosine.ldif
include: file:///etc/ldap/schema/inetorgperson.ldif

dn: olcDatabase={{0}}config,cn=config
objectClass: olcDatabaseConfig
olcDatabase: {{0}}config
olcAccess: {{0}}to * by dn.exact=gidNumber={gid}+uidNumber={uid},cn=peercred,cn=external,cn=auth manage by * none

dn: olcDatabase={{1}}mdb,cn=config
objectClass: olcDatabaseConfig
objectClass: olcMdbConfig
olcDatabase: {{1}}mdb
olcSuffix: {suffix}
olcRootDN: cn=admin,{suffix}
olcDbDirectory: {folder}/db
olcAccess: {{0}}to * by dn.exact=gidNumber={gid}+uidNumber={uid},cn=peercred,cn=external,cn=auth manage by * none
"""
CONTENT = """dn: dc=corp,dc=example
objectClass: dcObject
objectClass: organization
dc: corp
o: Corp

dn: ou=people,dc=corp,dc=example
objectClass: organizationalUnit
ou: people

dn: ou=services,dc=corp,dc=example
objectClass: organizationalUnit
ou: services

dn: uid=ann,ou=people,dc=corp,dc=example
objectClass: inetOrgPerson
uid: ann
cn: Ann
sn: Ann
mail: ann@corp.example
userPassword: {SSHA}9nkj

dn: cn=all,ou=people,dc=corp,dc=example
objectClass: groupOfNames
cn: all
member: uid=ann,ou=people,dc=corp,dc=example
"""
SCHEMA = """dn: uid=ann,ou=people,dc=corp,dc=example
changetype: modify
add: objectClass
objectClass: gatepostAccount
-
add: gatepostAddress
gatepostAddress: ann@corp.example
gatepostAddress: a@corp.example

dn: cn=corp.example,dc=corp,dc=example
changetype: add
objectClass: gatepostEntry
objectClass: gatepostDomain
cn: corp.example
gatepostDomainName: corp.example
"""


class Foreign:
    """The company's slapd."""

    def __init__(self, folder: Path) -> None:
        for name in ("slapd.d", "db"):
            (folder / name).mkdir()
        self.folder, self.port = folder, free_port()
        self.uri = f"ldap://127.0.0.1:{self.port}"
        self.socket = "ldapi://" + str(folder / "ldapi").replace("/", "%2F")
        config = CONFIG.format(folder=folder, uid=os.getuid(), gid=os.getgid(), suffix=SUFFIX)
        for number, text in (("0", config), ("1", CONTENT)):
            subprocess.run([find_slapd(), "-T", "add", "-n", number, "-F", str(folder / "slapd.d")], input=text,
                           text=True, check=True, timeout=60, capture_output=True)  # fmt: skip
        command = [find_slapd(), "-F", str(folder / "slapd.d"), "-h", f"{self.socket} {self.uri}/", "-d", "0"]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        eventually(self._answers)

    def _answers(self) -> bool:
        try:
            with socket.socket(socket.AF_UNIX) as probe:
                probe.connect(str(self.folder / "ldapi"))
            return True
        except OSError:
            return False

    def modify(self, text: str) -> None:
        done = subprocess.run(["ldapmodify", "-a", "-H", self.socket, "-Q", "-Y", "EXTERNAL"], input=text,
                              text=True, timeout=60, capture_output=True)  # fmt: skip
        assert done.returncode == 0, done.stderr + text

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(20)


@pytest.fixture
def slapd(tmp_path: Path) -> Iterator[Foreign]:
    running = Foreign(tmp_path)
    yield running
    running.stop()


def steps() -> tuple[list[str], list[str]]:
    """The commands and the LDIF of the page, in its order."""
    page = (ROOT / "docs/howto/openldap.md").read_text(encoding="utf-8")
    blocks = [
        re.sub(r"^ {3}", "", text, flags=re.MULTILINE) for text in re.findall(r"^ +```\n(.*?)^ +```", page, re.M | re.S)
    ]
    commands = [line for block in blocks if block.startswith("ldapadd") for line in block.splitlines()]
    return commands, [block for block in blocks if block.startswith("dn:")]


@pytest.mark.parametrize("profile", ["native", "inetorg"])
def test_the_page_works_as_it_stands(slapd: Foreign, tmp_path: Path, profile: str) -> None:
    commands, changes = steps()
    assert len(commands) == 2 and len(changes) == 3
    if profile == "native":
        for command in commands:
            words = command.replace("ldapi:///", slapd.socket).split()
            done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=60)
            assert done.returncode == 0, done.stderr
        slapd.modify(SCHEMA)
    else:  # without the schema there is nothing of it to index
        changes = [re.sub(r"olcDbIndex: gatepost.*\n", "", change) for change in changes]
    for change in changes:
        slapd.modify(change.replace("userPassword: …", "userPassword: gateway-secret"))
    (tmp_path / "password").write_text("gateway-secret\n")
    settings = DirectorySettings(
        servers=(slapd.uri,),
        base=SUFFIX,
        profile=profile,
        domains=() if profile == "native" else ("corp.example",),
        bind=Bind(dn=f"cn=gateway,ou=services,{SUFFIX}", password_file=str(tmp_path / "password")),
    )
    following = Following(tmp_path / "copy", settings)
    try:
        eventually(following.is_final)
        (ann,) = following.view.owners("ann@corp.example")
        assert following.view.domain("corp.example") is not None
        assert following.view.groups_of(ann.dn) == (f"cn=all,ou=people,{SUFFIX}",)
        assert following.tracker.name == "syncrepl"
        slapd.modify(f"dn: uid=ann,ou=people,{SUFFIX}\nchangetype: modify\nadd: mail\nmail: anne@corp.example\n")
        took = eventually(lambda: following.has("anne@corp.example"))
        print(f"live after {took:.2f} s")
    finally:
        following.stop()
