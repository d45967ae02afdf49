"""The LDAP side of the write port: whose bind is used, the assertion that nobody was faster, what results mean.

A change is written with the actor's own bind where he gave his password and the directory lets him, else with
`directory.write_bind`. Passwords are set by the server (RFC 3062), never as a hash of ours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ldap3
import msgspec
from ldap3.core.exceptions import LDAPException

from directory.authenticator_bind import POLICY_CONTROL, policy_error
from directory.ber import tlv
from directory.connection import Servers, close
from directory.model import Condition, Deferred
from directory.rights import Actor
from directory.settings import DirectorySettings
from directory.write_problem import CHANGED_MEANWHILE, Conflict, Invalid, NotAllowed, NotThere, WriteProblem

ASSERTION_CONTROL = "1.3.6.1.1.12"  # RFC 4528
#: errors of the password policy control that a person can do something about
_PASSWORD = {
    3: "the directory does not let this password be changed",
    4: "the directory wants the old password too",
    5: "the directory finds the password too weak",
    6: "the password is too short",
    7: "the password was changed too recently",
    8: "the password was used before",
}
_INSUFFICIENT, _ASSERTION_FAILED = 50, 122

#: attribute -> (values that go, values that come)
Delta = Mapping[str, tuple[Sequence[str], Sequence[str]]]
#: does one operation on a bound connection; answers as SAFE_SYNC does, the result second
Ask = Callable[[Any], Any]


def assertion(version: str) -> tuple[str, bool, bytes]:
    """The control that lets a write through only while entryCSN is `version`: filter equalityMatch (RFC 4511 4.5.1.7)."""
    return ASSERTION_CONTROL, True, tlv(0xA3, tlv(0x04, b"entryCSN") + tlv(0x04, version.encode()))


def problem(result: Mapping[str, Any], bound_as: str) -> WriteProblem | Deferred:
    """What a result that is not success means."""
    code, message = int(result["result"]), str(result.get("message") or "")
    what = f"{result.get('description', code)}{': ' + message if message else ''}"
    control = (result.get("controls") or {}).get(POLICY_CONTROL)
    error = policy_error(bytes(control["value"])) if control and control.get("value") else None
    if error in _PASSWORD:
        return Invalid(_PASSWORD[error])
    if code == 19 and "quality" in message.lower():
        return Invalid(f"the directory does not take this password: {message}")
    if code == 19:
        return Invalid(f"the directory refuses it, another entry has this value already or a rule forbids it ({what})")
    if code in (16, 20, _ASSERTION_FAILED):
        return Conflict(f"the entry {CHANGED_MEANWHILE}; look at it again, then try again ({what})")
    if code in (17, 21, 34, 53, 64, 65, 69):
        return Invalid(f"the directory does not take it: {what}")
    if code == 32:
        return NotThere(f"the directory has no such entry, or no such place for it: {what}")
    if code in (8, 13, 49, _INSUFFICIENT):
        return NotAllowed(f"the directory does not allow {bound_as or 'Gatepost'} to do it: {what}")
    if code == 68:
        return Invalid("the directory has an entry of this name already")
    if code == 66:
        return Invalid("there are entries below this one")
    return Deferred(Condition.DIRECTORY_UNAVAILABLE, what)


class WriteServer:
    """One connection a change: changes are rare. Thread-safe."""

    def __init__(self, servers: Servers, writers: Servers | None, write_name: str) -> None:
        self._servers, self._writers, self._write_name = servers, writers, write_name

    @classmethod
    def of(cls, settings: DirectorySettings) -> WriteServer:
        """With the binds of the configuration; without `write_bind` only people's own binds write."""
        if settings.ldif_path is not None:
            return FileServer(settings)
        bind = settings.write_bind
        writers = Servers(msgspec.structs.replace(settings, bind=bind)) if bind.dn or bind.sasl_external else None
        return cls(Servers(settings), writers, bind.dn or "SASL EXTERNAL")

    @property
    def read_only(self) -> str:
        """Why nothing can be written for people who have no right of their own in the directory; "" = it can."""
        return "" if self._writers is not None else "directory.write_bind is not set"

    def read(self, dn: str, attributes: Sequence[str] = ("*", "+")) -> dict[str, list[bytes]] | None:
        """The entry as the server has it now, attribute names in lower case; None when there is none."""
        connection = self._servers.open()
        try:
            _, result, response, _ = connection.search(
                dn, "(objectClass=*)", ldap3.BASE, ldap3.DEREF_NEVER, attributes=list(attributes)
            )
        except (LDAPException, OSError) as error:
            raise Deferred(Condition.DIRECTORY_UNAVAILABLE, f"read {dn}: {error}") from error
        finally:
            close(connection)
        if result["result"] == 32:
            return None
        if result["result"] != 0:
            raise Deferred(Condition.DIRECTORY_UNAVAILABLE, f"read {dn}: {result['description']}")
        for answer in response or ():
            if answer.get("type") == "searchResEntry":
                return {name.lower(): list(values) for name, values in answer["raw_attributes"].items() if values}
        return None

    def modify(self, actor: Actor, dn: str, delta: Delta, version: str) -> None:
        """Apply `delta` if the entry still has `version` (entryCSN, "" = not asserted). Raises WriteProblem, Deferred."""
        changes = {
            name: [
                (operation, list(values))
                for operation, values in ((ldap3.MODIFY_DELETE, gone), (ldap3.MODIFY_ADD, come))
                if values
            ]
            for name, (gone, come) in delta.items()
        }
        try:
            controls = [assertion(version)] if version else None
            self._do(actor, lambda connection: connection.modify(dn, changes, controls=controls))
        except Conflict as conflict:
            # OpenLDAP's unique overlay applies the assertion to its own search too and fails by it. Values
            # that go are named one by one, so a change of the same attributes is noticed even without it.
            if "unique_search" not in str(conflict) or version not in self._versions(dn):
                raise
            self._do(actor, lambda connection: connection.modify(dn, changes))

    def _versions(self, dn: str) -> list[str]:
        return [value.decode() for value in (self.read(dn) or {}).get("entrycsn", ())]

    def replace(self, actor: Actor, dn: str, attribute: str, octets: bytes) -> None:
        """Give an attribute this one value, b"" = none. Raises WriteProblem, Deferred."""
        changes = {attribute: [(ldap3.MODIFY_REPLACE, [octets] if octets else [])]}
        self._do(actor, lambda connection: connection.modify(dn, changes))

    def add(self, actor: Actor, dn: str, classes: Sequence[str], values: Mapping[str, Sequence[str]]) -> None:
        """Make an entry. Raises WriteProblem, Deferred."""
        attributes = {name: list(texts) for name, texts in values.items()}
        self._do(actor, lambda connection: connection.add(dn, list(classes), attributes))

    def delete(self, actor: Actor, dn: str, version: str) -> None:
        """Delete the entry if it still has `version`. Raises WriteProblem, Deferred."""
        controls = [assertion(version)] if version else None
        self._do(actor, lambda connection: connection.delete(dn, controls=controls))

    def password(self, actor: Actor, dn: str, new: str, old: str | None) -> None:
        """Have the server set a password (RFC 3062). Raises WriteProblem, Deferred."""

        def ask(connection: ldap3.Connection) -> Any:
            connection.extend.standard.modify_password(
                user=dn,
                old_password=old.encode() if old else None,
                new_password=new.encode(),
                controls=[(POLICY_CONTROL, False, None)],
            )
            return True, connection.result, None, None

        self._do(actor, ask, synchronous=True)

    def _do(self, actor: Actor, ask: Ask, *, synchronous: bool = False) -> None:
        strategy = ldap3.SYNC if synchronous else ldap3.SAFE_SYNC
        refused: WriteProblem | None = None
        if actor.account is not None and actor.password:
            dn = actor.account.dn
            refused = self._once(ask, lambda: self._own(strategy, dn, actor.password), dn)
            # whoever may not read an entry is told that the assertion failed or that nothing is there
            if refused is None or not isinstance(refused, NotAllowed | Conflict | NotThere):
                return self._raise(refused)
        if self._writers is not None:
            writers = self._writers
            return self._raise(self._once(ask, lambda: writers.open(strategy), self._write_name))
        raise refused or NotAllowed(
            "the directory is read-only for Gatepost: set directory.write_bind, or give the password of an "
            "account that may write"
        )

    @staticmethod
    def _raise(found: WriteProblem | None) -> None:
        if found is not None:
            raise found

    def _own(self, strategy: str, dn: str, password: str) -> ldap3.Connection:
        connection = self._servers.open(strategy, bind=False)
        # octets, for the reason that BindPool gives
        connection.rebind(user=dn, password=password.encode(), authentication=ldap3.SIMPLE)
        if not connection.bound:
            close(connection)
            raise NotAllowed(f"the directory does not let {dn} in with this password")
        return connection

    def _once(self, ask: Ask, connect: Callable[[], ldap3.Connection], name: str) -> WriteProblem | None:
        """None = done, else why not: another bind may be allowed what this one is not. Raises Deferred."""
        try:
            connection = connect()
        except NotAllowed as refused:
            return refused
        except (LDAPException, OSError) as error:
            raise Deferred(Condition.DIRECTORY_UNAVAILABLE, f"write as {name}: {error}") from error
        try:
            result = dict(ask(connection)[1])
        except (LDAPException, OSError) as error:
            raise Deferred(Condition.DIRECTORY_UNAVAILABLE, f"write as {name}: {error}") from error
        finally:
            close(connection)
        if result["result"] == 0:
            return None
        found = problem(result, name)
        if isinstance(found, Deferred):
            raise found
        return found


class FileServer(WriteServer):
    """A directory that is a file: nothing is written to it here."""

    def __init__(self, settings: DirectorySettings) -> None:
        super().__init__(Servers(settings), None, "")
        self._path = settings.ldif_path

    @property
    def read_only(self) -> str:
        return f"it is the file {self._path}, which is changed with an editor"

    def read(self, dn: str, attributes: Sequence[str] = ("*", "+")) -> dict[str, list[bytes]] | None:
        raise NotAllowed(f"the directory is the file {self._path}: it is changed with an editor, not through Gatepost")

    def _do(self, actor: Actor, ask: Ask, *, synchronous: bool = False) -> None:
        self.read("")


class NoWriteServer(WriteServer):
    """Stands where the directory is a file: it is changed with an editor."""

    def __init__(self) -> None:
        super().__init__(Servers(DirectorySettings()), None, "")

    @property
    def read_only(self) -> str:
        return "it is a file, which is changed with an editor and read again at once"

    def read(self, dn: str, attributes: Sequence[str] = ("*", "+")) -> dict[str, list[bytes]] | None:
        raise NotAllowed(
            "this directory is a file and read-only for Gatepost: change the file, it is read again at once"
        )

    def _do(self, actor: Actor, ask: Ask, *, synchronous: bool = False) -> None:
        self.read("")
