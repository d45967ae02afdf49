"""What a directory demands of a new password, where it tells: OpenLDAP's ppolicy (draft-behera-ldap-password-policy),
Active Directory's domain. Only to be shown before somebody chooses one: the directory itself decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import ldap3
from ldap3.core.exceptions import LDAPException

from directory.connection import Servers, close
from directory.model import Condition, Deferred

_OPENLDAP = ["pwdMinLength", "pwdInHistory", "pwdMaxAge", "pwdMinAge", "pwdCheckQuality"]
_AD = ["minPwdLength", "pwdHistoryLength", "pwdProperties", "maxPwdAge", "minPwdAge"]
_COMPLEX = 1  # DOMAIN_PASSWORD_COMPLEX
_TICKS = 10_000_000  # of AD's negative times, a second


@dataclass(frozen=True, slots=True)
class PasswordPolicy:
    """0 or False = not demanded, or not known."""

    min_length: int = 0
    #: former passwords that may not be used again
    history: int = 0
    max_age_days: int = 0
    min_age_seconds: int = 0
    #: three of: capital letters, small ones, digits, others
    is_complex: bool = False


class Policies:
    """Asks the directory each time. Thread-safe."""

    def __init__(self, servers: Servers, base: str) -> None:
        self._servers, self._base = servers, base

    def of(self, dn: str) -> PasswordPolicy | None:
        """The policy of the entry `dn`: its own (pwdPolicySubentry), else the only one there is. None when that is not to
        be found out. Raises Deferred."""
        connection = self._servers.open()
        try:
            own = self._read(connection, dn, "(objectClass=*)", ldap3.BASE, ["pwdPolicySubentry"])
            named = next((entry["pwdpolicysubentry"] for entry in own if entry.get("pwdpolicysubentry")), "")
            if named:
                found = self._read(connection, named, "(objectClass=*)", ldap3.BASE, _OPENLDAP)
            else:
                found = self._read(connection, self._base, "(objectClass=pwdPolicy)", ldap3.SUBTREE, _OPENLDAP)
            if len(found) == 1:
                return _openldap(found[0])
            domain = self._read(connection, self._base, "(objectClass=domainDNS)", ldap3.BASE, _AD)
            return _active_directory(domain[0]) if domain and domain[0].get("minpwdlength") else None
        except (LDAPException, OSError) as error:
            raise Deferred(Condition.DIRECTORY_UNAVAILABLE, f"password policy: {error}") from error
        finally:
            close(connection)

    @staticmethod
    def _read(
        connection: ldap3.Connection, base: str, filter_text: str, scope: Literal["BASE", "SUBTREE"], names: list[str]
    ) -> list[dict[str, str]]:
        """First values of each entry, attribute names in lower case; [] where nothing may be read."""
        _, result, response, _ = connection.search(
            base, filter_text, scope, ldap3.DEREF_NEVER, attributes=names, size_limit=20
        )
        if result["result"] not in (0, 4):
            return []
        return [
            {
                name.lower(): bytes(values[0]).decode("utf-8", "replace")
                for name, values in answer["raw_attributes"].items()
                if values
            }
            for answer in response or ()
            if answer.get("type") == "searchResEntry"
        ]


def _number(entry: Mapping[str, str], name: str) -> int:
    try:
        return int(entry.get(name, "0"))
    except ValueError:
        return 0


def _openldap(entry: Mapping[str, str]) -> PasswordPolicy:
    return PasswordPolicy(
        min_length=_number(entry, "pwdminlength"),
        history=_number(entry, "pwdinhistory"),
        max_age_days=_number(entry, "pwdmaxage") // 86_400,
        min_age_seconds=_number(entry, "pwdminage"),
    )


def _active_directory(entry: Mapping[str, str]) -> PasswordPolicy:
    return PasswordPolicy(
        min_length=_number(entry, "minpwdlength"),
        history=_number(entry, "pwdhistorylength"),
        max_age_days=_days(_number(entry, "maxpwdage")),
        min_age_seconds=max(0, -_number(entry, "minpwdage")) // _TICKS,
        is_complex=bool(_number(entry, "pwdproperties") & _COMPLEX),
    )


def _days(ticks: int) -> int:
    days = max(0, -ticks) // _TICKS // 86_400
    return days if days < 10_000 else 0  # the smallest number means "never"
