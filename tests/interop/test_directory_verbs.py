"""`gatepost directory check, status, resync` against a running demo and one that is stopped."""

from __future__ import annotations

import json
from pathlib import Path

import ldap3
import yaml
from conftest import RunningDemo
from following import eventually
from in_process import answer


def gatepost(demo: RunningDemo, *verb: str) -> tuple[int, str, str]:
    done = answer(*verb, "--config", demo.facts["config_file"])
    return done.returncode, done.stdout, done.stderr


def facts(demo: RunningDemo) -> dict[str, object]:
    found: dict[str, object] = json.loads(gatepost(demo, "directory", "status", "--json")[1])
    return found


def test_the_example_company_is_well_and_a_shared_address_is_red(demo: RunningDemo) -> None:
    code, said, _ = gatepost(demo, "directory", "check")
    assert code == 0, said
    code, said, _ = gatepost(demo, "directory", "status")
    assert code == 0 and "(syncrepl)" in said and "complete" in said and "accounts" in said, said
    directory = demo.facts["directory"]
    other = next(a for a in demo.facts["accounts"] if a["login"] not in ("jane", None) and len(a["addresses"]) > 1)
    address = other["addresses"][-1]
    admin = ldap3.Connection(ldap3.Server(directory["uri"], get_info=ldap3.NONE), auto_bind=True,
                             user=directory["admin_dn"], password=directory["admin_password"])  # fmt: skip
    try:
        # `unique` guards gatepostAddress alone: a further address of somebody in somebody's mail gets past it
        dn = f"uid=jane,ou=people,{directory['base']}"
        assert admin.modify(dn, {"mail": [(ldap3.MODIFY_REPLACE, [address])]}), admin.result
        eventually(lambda: facts(demo)["shared_addresses"])
        code, said, _ = gatepost(demo, "directory", "check")
        assert code == 1 and "451 4.3.5" in said and address in said
        assert gatepost(demo, "doctor", "directory")[:2] == (code, said)
        code, said, _ = gatepost(demo, "status")
        assert code == 1 and address in said
        assert gatepost(demo, "directory", "status")[0] == 1
        assert admin.modify(dn, {"mail": [(ldap3.MODIFY_REPLACE, ["jane@example.com"])]})
        eventually(lambda: gatepost(demo, "status")[0] == 0)
    finally:
        admin.unbind()
    code, said, _ = gatepost(demo, "directory", "resync")
    assert code == 0 and "0 removed" in said
    code, said, _ = gatepost(demo, "directory", "resync", "--json")
    assert code == 0 and json.loads(said)["removed"] == 0
    eventually(lambda: gatepost(demo, "directory", "status")[0] == 0)


def test_a_profile_is_tried_without_the_service(demo: RunningDemo, tmp_path: Path) -> None:
    code, said, problem = gatepost(demo, "directory", "try", "--json")
    assert code == 0, problem
    found = json.loads(said)
    assert found["entries"]["account"] >= 30 and "example.com" in found["domains"] and found["profile"] == "native"
    jane = next(each for each in found["examples"]["account"] if each["dn"].startswith("uid=jane"))
    assert "jane@example.com" in jane["addresses"] and "jane" in jane["logins"]
    settings = yaml.safe_load(Path(demo.facts["config_file"]).read_text())
    settings["directory"]["profile"] = "inetorg"
    other = tmp_path / "other.yaml"
    other.write_text(yaml.safe_dump(settings))
    done = answer("directory", "try", "--config", str(other))
    assert done.returncode == 1 and "name them in directory.domains" in done.stdout
    settings["directory"]["servers"] = ["ldap://127.0.0.1:1"]
    other.write_text(yaml.safe_dump(settings))
    done = answer("directory", "try", "--config", str(other))
    assert done.returncode == 4 and "127.0.0.1:1" in done.stderr and "Traceback" not in done.stderr


def test_without_a_service_it_is_temporary(tmp_path: Path) -> None:
    path = tmp_path / "gatepost.yaml"
    path.write_text(
        f"state_dir: {tmp_path}\nrun_dir: {tmp_path}\nstore: {{volumes: {{a: {{path: {tmp_path}}}}}}}\ndirectory: {{}}\n"
    )
    for verb in ("check", "status", "resync"):
        done = answer("directory", verb, "--config", str(path))
        assert done.returncode == 4 and done.stderr and "Traceback" not in done.stderr, (verb, done.stderr)
