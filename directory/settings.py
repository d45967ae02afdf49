"""Where the directory is and how it is read: the configuration section `directory`. Values only."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

import msgspec

from directory.model.units import Count, Seconds
from directory.rights import RightsSettings


class Bind(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How Gatepost itself logs in to the directory."""

    #: distinguished name of the entry; "" = anonymous
    dn: str = ""
    #: file with its password, read at each connection, so that it may change
    password_file: str = ""
    #: with the rights of the process at the other end of an ldapi socket instead
    sasl_external: bool = False


class Tls(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the servers' certificates are checked."""

    #: PEM file with the authorities that are believed; empty = those of the system
    ca_file: str = ""
    #: full (chain and name) or none (encrypted, but to whom is not known)
    verify: Literal["full", "none"] = "full"
    #: encrypt ldap:// connections, too
    starttls: bool = False


class Timeout(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Seconds to wait for a connection and for an answer."""

    #: for a connection
    connect: Seconds = 3.0
    #: for an answer
    op: Seconds = 5.0


class StaticDomain(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A mail domain that the configuration names because the directory has no entry for it."""

    #: the domain
    name: str
    #: domains rewritten to this one
    aliases: tuple[str, ...] = ()
    #: local (mailboxes here), relay (another host has them) or backup (kept for its own host)
    kind: Literal["local", "relay", "backup"] = "local"
    #: where mail to unknown users of the domain goes
    catch_all: tuple[str, ...] = ()


class Places(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where new entries are made: distinguished names relative to `directory.base`."""

    #: of people
    people: str = "ou=people"
    #: of mailing lists
    lists: str = "ou=groups"
    #: of aliases and shared mailboxes
    aliases: str = "ou=mail"
    #: of domains
    domains: str = "ou=domains"


class DirectorySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Configuration section `directory`."""

    #: ldaps://host, ldap://host:port or ldapi://%2Fpath: the next is used when one does not answer; or one file:///path.ldif
    servers: tuple[str, ...] = ("ldap://127.0.0.1",)
    #: below which entry everything is
    base: str = ""
    #: which entries are what: native, inetorg, ldif, or the path of a profile file
    profile: str = "native"
    #: laid over the profile key by key
    map: dict[str, Any] = {}
    #: domains without an entry: names, or {name, aliases, kind, catch_all}
    domains: tuple[str | StaticDomain, ...] = ()
    #: name of this directory in the ids of entries and so of mailboxes; never change it
    source: str = "directory"
    bind: Bind = Bind()
    #: who writes for people that have no right of their own in the directory; without it Gatepost only reads
    write_bind: Bind = Bind()
    #: who may change what through Gatepost
    rights: RightsSettings = RightsSettings()
    #: where new entries are made
    places: Places = Places()
    tls: Tls = Tls()
    timeout: Timeout = Timeout()
    #: entries in one answer of a long listing
    page_size: Count = 500
    #: auto, syncrepl (OpenLDAP with syncprov, 389 DS) or timestamp (any server: polls modifyTimestamp)
    track: Literal["auto", "syncrepl", "timestamp"] = "auto"
    #: seconds between comparisons of all ids, which find deletions that were missed
    compare_seconds: Seconds = 900.0

    @property
    def ldif_path(self) -> Path | None:
        """The file that is the directory (`servers: [file:///path]`); None when there are servers."""
        parts = urlsplit(self.servers[0]) if len(self.servers) == 1 else None
        return Path(unquote(parts.path)) if parts is not None and parts.scheme == "file" else None

    @property
    def scope(self) -> str:
        """What is followed, as text: a cookie is only valid within it."""
        return f"{self.source} {self.base} {self.profile}"
