"""What a directory demands of passwords, as its entries say it."""

from __future__ import annotations

from directory.password_policy import PasswordPolicy, _active_directory, _openldap


def test_openldaps_policy() -> None:
    entry = {"pwdminlength": "12", "pwdinhistory": "5", "pwdmaxage": "7776000", "pwdminage": "3600"}
    assert _openldap(entry) == PasswordPolicy(12, 5, 90, 3600)
    assert _openldap({"pwdminlength": "nonsense"}) == PasswordPolicy()


def test_active_directorys_domain() -> None:
    never = str(-(1 << 63))
    entry = {"minpwdlength": "7", "pwdhistorylength": "24", "pwdproperties": "1", "maxpwdage": "-36288000000000", "minpwdage": "-864000000000"}  # fmt: skip
    assert _active_directory(entry) == PasswordPolicy(7, 24, 42, 86_400, is_complex=True)
    assert _active_directory({"minpwdlength": "7", "maxpwdage": never, "pwdproperties": "16"}).max_age_days == 0
