"""LDAP facts of a model field: name, number, syntax, who may write it, since which version it counts.

A field states its facts once; schema files, documentation, profiles and forms are made from them.
Numbers are append-only: a number that was ever released names its attribute for ever.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

#: OpenLDAP and 389 DS: UUID bfce7ca7-870e-402b-a03a-2874870fd7d8 under 2.25 (X.667)
ARC = "2.25.254954688639468803228948051327125018584"
#: Active Directory refuses so long an arc: the same UUID under Microsoft's own GUID-mapped arc
AD_ARC = "1.2.840.113556.1.8000.2554.49102.31911.34574.16427.41018.2651271.1038296"

ADMIN = "admin"  #: only administrators write it
SELF = "self"  #: the person the entry stands for may write it


@dataclass(frozen=True, slots=True)
class Syntax:
    """An attribute syntax with its matching rules (RFC 4517) and its Active Directory equivalent."""

    name: str
    oid: str
    equality: str
    ordering: str = ""
    substring: str = ""
    ad_syntax: str = "2.5.5.12"
    ad_om_syntax: int = 64


_DS, _IA5 = "1.3.6.1.4.1.1466.115.121.1.15", "1.3.6.1.4.1.1466.115.121.1.26"
ADDRESS = Syntax("address", _DS, "caseIgnoreMatch", "", "caseIgnoreSubstringsMatch")
NAME = Syntax("name", _DS, "caseIgnoreMatch", "", "caseIgnoreSubstringsMatch")
TEXT = Syntax("text", _DS, "caseExactMatch")
TOKEN = Syntax("token", _IA5, "caseIgnoreIA5Match")
HOST = Syntax("host", _IA5, "caseIgnoreIA5Match", "", "caseIgnoreIA5SubstringsMatch")
PATH = Syntax("path", _IA5, "caseExactIA5Match")
# AD's Integer is 32 bits, too small for a quota: LargeInteger
INTEGER = Syntax("integer", "1.3.6.1.4.1.1466.115.121.1.27", "integerMatch", "integerOrderingMatch", "", "2.5.5.16", 65)
BOOLEAN = Syntax("boolean", "1.3.6.1.4.1.1466.115.121.1.7", "booleanMatch", "", "", "2.5.5.8", 1)
DN = Syntax("dn", "1.3.6.1.4.1.1466.115.121.1.12", "distinguishedNameMatch", "", "", "2.5.5.1", 127)
TIME = Syntax(
    "time",
    "1.3.6.1.4.1.1466.115.121.1.24",
    "generalizedTimeMatch",
    "generalizedTimeOrderingMatch",
    "",
    "2.5.5.11",
    24,
)


@dataclass(frozen=True, slots=True)
class Facts:
    """What LDAP knows of one field. `number` is None for a standard attribute that we only use;
    `since` is the version that honours it, None while it is reserved."""

    ldap_name: str
    number: int | None
    syntax: Syntax
    description: str
    since: str | None
    write: str


def attribute(
    ldap_name: str,
    number: int,
    syntax: Syntax,
    description: str,
    *,
    write: str = ADMIN,
    since: str | None = "0.1",
    default: Any = None,
) -> Any:
    """A field kept in Gatepost's own attribute `ldap_name`; SINGLE-VALUE unless the field is a tuple."""
    facts = Facts(ldap_name, number, syntax, description, since, write)
    return dataclasses.field(default=default, metadata={"ldap": facts})


def standard(ldap_name: str, syntax: Syntax, description: str, *, write: str = ADMIN, default: Any = None) -> Any:
    """A field kept in an attribute that the standard schemas define."""
    return dataclasses.field(
        default=default, metadata={"ldap": Facts(ldap_name, None, syntax, description, "0.1", write)}
    )


@dataclass(frozen=True, slots=True)
class ClassFacts:
    """What LDAP knows of one model class; MAY beyond `also` follows from the fields."""

    ldap_name: str
    number: int
    kind: str  # STRUCTURAL or AUXILIARY
    description: str
    must: tuple[str, ...]
    also: tuple[str, ...]


def object_class(
    ldap_name: str,
    number: int,
    kind: str,
    description: str,
    *,
    must: tuple[str, ...] = (),
    also: tuple[str, ...] = (),
) -> Any:
    """Class decorator: the LDAP object class of a model class. `also` = standard attributes in its MAY."""

    def attach(cls: type) -> type:
        cls.CLASS_FACTS = ClassFacts(ldap_name, number, kind, description, must, also)  # type: ignore[attr-defined]
        return cls

    return attach


def is_multi(field: dataclasses.Field[Any]) -> bool:
    """True for a field that holds several values."""
    return str(field.type).startswith("tuple[")
