"""Every mistake in a profile names file, line, key, what is wrong and what is allowed."""

from __future__ import annotations

from pathlib import Path

import pytest

from directory.profile import InvalidProfile, Profile
from directory.profile_text import ProfileText
from directory.settings import DirectorySettings, StaticDomain
from gateway.config.load import ConfigurationError, load

GOOD = """\
profile: own
account:
  filter: (objectClass=person)
  login: [uid]
  address: [mail]
  map:
    quota: mailQuota
list:
  filter: (objectClass=group)
  address: [mail]
  members: {dn: [member]}
"""


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("profile: own", "profil: own", "own.yaml:1: profil: 'profil' is not known; did you mean 'profile'?"),
        ("profile: own", "profile: own\nid: entry UUID", "own.yaml:2: id: 'entry UUID' is no attribute name"),
        ("profile: own", "attributes: own", "own.yaml:1: attributes: 'own' is not one of gatepost, none"),
        ("account:", "acount:", "own.yaml:2: acount: 'acount' is not known; did you mean 'account'?"),
        ("(objectClass=person)", "(objectClass=person", "own.yaml:3: account.filter: filter"),
        ("  filter: (objectClass=person)\n", "", "own.yaml:2: account: filter is missing"),
        ("  login: [uid]\n", "", "own.yaml:2: account: login is missing"),
        ("  address: [mail]\n  map", "  map", "own.yaml:2: account: address is missing"),
        ("login: [uid]", "login: [uid, 7]", "own.yaml:4: account.login.1: a mapping is expected here"),
        ("quota: mailQuota", "quotas: mailQuota", "own.yaml:7: account.map.quotas: no field of account; 'quotas' is not known; did"),
        ("quota: mailQuota", "addresses: mail", "own.yaml:7: account.map.addresses: stands outside of map, as address:"),
        ("quota: mailQuota", "quota: {atr: q}", "own.yaml:7: account.map.quota.atr: 'atr' is not known; did you mean 'attr'?"),
        ("quota: mailQuota", "quota: {unit: B}", "own.yaml:7: account.map.quota: a source has one of attr, template, const"),
        ("quota: mailQuota", "quota: {attr: q, unit: GB}", "own.yaml:7: account.map.quota.unit: 'GB' is not one of B, KiB, MiB"),
        ("quota: mailQuota", "quota: {attr: q, default: much}", "own.yaml:7: account.map.quota.default: 'much' is no number; 1000 or 5 GiB"),
        ("quota: mailQuota", "quota: {attr: q, many: true}", "own.yaml:7: account.map.quota.many: quota holds one value"),
        ("quota: mailQuota", "quota: {attr: q, bool: true}", "own.yaml:7: account.map.quota.bool: quota is not true or false"),
        ("quota: mailQuota", "quota: {attr: q, bit: two, then: 1}", "own.yaml:7: account.map.quota.bit: 'two' is no bit"),
        ("quota: mailQuota", "quota: {attr: q, bit: 2}", "own.yaml:7: account.map.quota.bit: then says what the value is"),
        ("quota: mailQuota", "quota: {attr: q, then: 1}", "own.yaml:7: account.map.quota.then: then goes with one of bit"),
        ("quota: mailQuota", "quota: {const: 1, unit: B}", "own.yaml:7: account.map.quota.unit: const stands alone or with when"),
        ("quota: mailQuota", "status: {attr: s, values: {a: off}}", "own.yaml:7: account.map.status.values.a: a text is expected"),
        ("quota: mailQuota", "status: {attr: s, values: {a: locked}}", "own.yaml:7: account.map.status.values.a: 'locked' is not one of active"),
        ("quota: mailQuota", "store: {attr: s, regex: '(x'}", "own.yaml:7: account.map.store.regex: not a regular expression"),
        ("quota: mailQuota", r"store: {attr: s, regex: '(x)', to: '\2'}", "own.yaml:7: account.map.store.to: does not fit the regex"),
        ("quota: mailQuota", "store: {attr: s, exact: true}", "own.yaml:7: account.map.store.exact: exact goes with prefix or strip"),
        ("quota: mailQuota", "store: {template: plain}", "own.yaml:7: account.map.store.template: a template names an attribute"),
        ("quota: mailQuota", "quota: a\n    quota: b", "own.yaml:8: quota: stands here twice"),
        ("members: {dn: [member]}", "members: {dns: [member]}", "own.yaml:11: list.members.dns: 'dns' is not known; did you mean 'dn'?"),
        ("members: {dn: [member]}", "rules: {}", "own.yaml:11: list.rules: a list of rules is expected"),
        ("members: {dn: [member]}", "rules: [{when: (a=b)}]", "own.yaml:11: list.rules.0: set is missing"),
        ("members: {dn: [member]}", "rules: [{set: {members: x}}]", "own.yaml:11: list.rules.0.set.members: no field that a rule can set"),
        ("members: {dn: [member]}", "rules: [{nested: true, set: {hidden: true}}]", "own.yaml:11: list.rules.0.nested: nested goes with"),
        ("members: {dn: [member]}", "rules: [{set: {hidden: 1}}]", "own.yaml:11: list.rules.0.set.hidden: true or false is expected"),
        ("quota: mailQuota", "quota: q\n  catch_all: 'no @ address'", "own.yaml:8: account.catch_all: "),
        ("members: {dn: [member]}", "members: {login: [7]}", "own.yaml:11: list.members.login.0: a mapping is expected"),
        ("members: {dn: [member]}", "members: {reverse: ['a b']}", "own.yaml:11: list.members.reverse.0: 'a b' is no attribute"),
        ("members: {dn: [member]}", "members: [", "own.yaml:12: "),
        (GOOD, "- 1", "own.yaml:1: a profile is a mapping"),
        (GOOD, "profile: empty", "own.yaml:1: account is missing"),
        (GOOD, GOOD + "domain:\n  filter: (objectClass=d)\n", "own.yaml:12: domain: map.name is missing"),
    ],
)  # fmt: skip
def test_says_where_and_what(old: str, new: str, expected: str) -> None:
    Profile(ProfileText(GOOD, "own.yaml"))
    with pytest.raises(InvalidProfile) as caught:
        Profile(ProfileText(GOOD.replace(old, new), "own.yaml"))
    assert str(caught.value).startswith(expected)


def config(folder: Path, directory: str) -> Path:
    path = folder / "gatepost.yaml"
    path.write_text(
        f"state_dir: {folder}\nrun_dir: {folder}\nstore: {{volumes: {{a: {{path: {folder}}}}}}}\ndirectory:\n{directory}"
    )
    return path


@pytest.mark.parametrize(
    ("directory", "expected"),
    [
        ("  base: o=x\n  profile: natife\n", ":6: directory.profile: 'natife' is not known; did you mean 'native'?"),
        ("  profile: own.yaml\n", ":5: directory.profile: 'own.yaml' is not an absolute path"),
        ("  profile: /nowhere/own.yaml\n", ":5: directory.profile: /nowhere/own.yaml: No such file or directory"),
        ("  map:\n    account:\n      map:\n        quotta: q\n", ":8: directory.map.account.map.quotta: no field of account"),
        ("  map:\n    account: {filter: '(x'}\n", ":6: directory.map.account.filter: filter '(x'"),
        ("  domains: [a.example, 'b b']\n", ":5: directory.domains.1: the domain"),
        ("  domains:\n  - a.example\n  - {name: b.example, aliases: [A.example]}\n", ":7: directory.domains.1: a.example stands here"),
        ("  domains: [{name: b.example, kind: remote}]\n", ":5: directory.domains.0"),
    ],
)  # fmt: skip
def test_the_configuration_says_so_too(tmp_path: Path, directory: str, expected: str) -> None:
    path = config(tmp_path, directory)
    with pytest.raises(ConfigurationError) as caught:
        load(path)
    assert str(caught.value).startswith(f"{path}{expected}")


def test_a_good_configuration_with_overrides_loads(tmp_path: Path) -> None:
    path = config(tmp_path, "  map: {account: {map: {quota: mailQuota}, login: [mail]}, service: null}\n")
    settings = load(path).directory
    assert Profile.of(settings).fingerprint != Profile.of(DirectorySettings()).fingerprint
    assert (
        Profile.of(DirectorySettings(domains=(StaticDomain("x.example"),))).static_domains["x.example"].kind == "local"
    )
