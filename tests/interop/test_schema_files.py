"""The generated schema files are taken by a real server, and entries of every class are too."""

from __future__ import annotations

import subprocess
from pathlib import Path

import ldap3
import pytest
from following import SUFFIX, Slapd, company

from directory import schema
from directory.embedded import find_slapd
from directory.model.entries import CLASSES

ROOT = Path(__file__).resolve().parents[2]
SYSTEM = "/etc/ldap/schema"

#: a value that each syntax takes
VALUES = {"integer": "5", "boolean": "TRUE", "dn": f"uid=jane,ou=people,{SUFFIX}", "time": "20300101000000Z"}


def test_slapd_conf_takes_the_schema(tmp_path: Path) -> None:
    conf = tmp_path / "slapd.conf"
    includes = [f"{SYSTEM}/{name}.schema" for name in ("core", "cosine", "inetorgperson", "dyngroup")]
    conf.write_text("".join(f"include {path}\n" for path in (*includes, ROOT / "schema" / "gatepost.schema")))
    done = subprocess.run(
        [find_slapd(), "-T", "test", "-f", str(conf), "-u"], capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 0, done.stderr


def test_without_dyngroup_it_says_what_is_missing(tmp_path: Path) -> None:
    conf = tmp_path / "slapd.conf"
    conf.write_text(f"include {SYSTEM}/core.schema\ninclude {ROOT}/schema/gatepost.schema\n")
    done = subprocess.run(
        [find_slapd(), "-T", "test", "-f", str(conf), "-u"], capture_output=True, text=True, timeout=30
    )
    assert done.returncode != 0


@pytest.fixture(scope="module")
def slapd(tmp_path_factory: pytest.TempPathFactory) -> object:
    running = Slapd(Path(tmp_path_factory.mktemp("schema")) / "ldap", company("jane"))
    yield running
    running.stop()


def test_every_class_takes_every_attribute_of_its_own(slapd: Slapd) -> None:
    attributes = schema.attributes()
    with slapd.admin() as admin:
        for (facts, may), cls in zip(schema.classes(), CLASSES, strict=True):
            if facts.kind != "AUXILIARY":
                continue
            values = {"cn": f"all-{facts.number}"}
            for name in (*facts.must, *may):
                if name in attributes:
                    found = attributes[name][0].syntax.name
                    values[name] = VALUES.get(found, f"v{facts.number}@example.com")
            values.setdefault("userPassword", "x" * 12)
            dn = f"cn=all-{facts.number},ou=mail,{SUFFIX}"
            classes = ["gatepostEntry", facts.ldap_name]
            assert admin.add(dn, classes, values), (cls.__name__, admin.result)
            assert admin.delete(dn)


def test_a_single_valued_attribute_takes_one_value(slapd: Slapd) -> None:
    with slapd.admin() as admin:
        dn = f"uid=jane,ou=people,{SUFFIX}"
        assert admin.modify(dn, {"gatepostQuota": [(ldap3.MODIFY_REPLACE, ["5"])]})
        assert not admin.modify(dn, {"gatepostQuota": [(ldap3.MODIFY_REPLACE, ["5", "6"])]})
        assert not admin.modify(dn, {"gatepostQuota": [(ldap3.MODIFY_REPLACE, ["lots"])]})
        admin.search(dn, "(objectClass=*)", ldap3.BASE, attributes=["gatepostQuota"])
        assert admin.response[0]["raw_attributes"]["gatepostQuota"] == [b"5"]
