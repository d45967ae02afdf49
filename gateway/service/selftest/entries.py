"""The entries that the self-test makes for itself and takes away again, and what a killed run left.

A run has a domain of its own, `zz-gatepost-selftest-<time><host>.invalid` (RFC 2606: nobody else's), in it an account
that is its postmaster too, a list and an alias. So nobody's mailbox gets a message of the self-test. Everything that
leaves the domain goes to the far end that the self-test listens as (`gatepostRelayHost` of the domain).

The domain is made first and goes last: while it is there, a later run finds what is left by it. Names begin with
`zz` so that the domain is never the first one of the company. The deletion brake does not count the entries, and
postmaster of no other domain is looked for among them.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from directory.model import Deferred
from directory.model.selftest import SELFTEST
from gateway.config.settings import Settings
from gateway.control.client import ControlError, call
from gateway.files.names import host_id
from gateway.queue.file import MESSAGES, Damaged, read_envelope
from gateway.service.local_copy import local_copy
from gateway.service.mail_control import MAIL_SOCKET
from gateway.service.selftest.case import Need

PROGRAM = "selftest"  # of `programs` in the configuration
OUTSIDE = "outside"  # what stands below the domain is outside
ANSWER_SECONDS = 10.0
DROP_SECONDS = 2.0  # for the runner to let go of a message
PAUSE_SECONDS = 0.2
MAX_OLD = 20  # runs whose leftovers are removed at one start
MAX_QUEUED = 10_000  # messages of the queue that are looked at for ours
OTHER_HOST_SECONDS = 600.0  # a run of another host that shares the directory is over by then
RUN_SECONDS = 600.0  # and every message of a run has an id of this time
#: codes of refusals that may be others a moment later: not there yet, still in use, not now
NO, WRONG, TEMPORARY = 1, 2, 4
BUSY = 75  # it would take too long to wait for another answer
_NAME = re.compile(rf"zz-{SELFTEST}([0-9a-f]{{8}})([0-9a-f]{{4}})\.invalid\Z")


@dataclass(frozen=True, slots=True)
class Names:
    """What a run calls its entries."""

    run: str

    @classmethod
    def fresh(cls) -> Names:
        """For a run that begins now."""
        return cls(f"zz-{SELFTEST}{int(time.time()):08x}{_host_mark()}")

    @property
    def domain(self) -> str:
        return f"{self.run}.invalid"

    @property
    def began(self) -> float:
        """When the run began, unix time."""
        match = _NAME.match(self.domain)
        return float(int(match[1], 16)) if match is not None else 0.0

    @property
    def is_of_this_host(self) -> bool:
        match = _NAME.match(self.domain)
        return match is not None and match[2] == _host_mark()

    def address(self, local: str) -> str:
        """An address in the domain."""
        return f"{local}@{self.domain}"

    def outside(self, local: str) -> str:
        """An address that is not ours."""
        return f"{local}@{OUTSIDE}.{self.domain}"


def _host_mark() -> str:
    return hashlib.sha256(host_id().encode()).hexdigest()[:4]


def is_ours(domain: str) -> bool:
    """True for the domain of a self-test."""
    return _NAME.match(domain) is not None


class Entries:
    """The entries of one run. `remove` may be called whatever was made of them, and again."""

    def __init__(self, settings: Settings, names: Names) -> None:
        self._settings, self.names = settings, names
        self.password = f"{secrets.token_urlsafe(18)}-Aa1"
        self._control = Path(settings.run_dir) / "control.sock"
        self._mail = Path(settings.run_dir) / MAIL_SOCKET
        #: there may be something to take away
        self.were_made = False
        self._is_runner_silent = False
        #: what could not be made though the rest was, and why
        self.missing: dict[Need, ControlError] = {}

    @classmethod
    def left_of(cls, settings: Settings, names: Names) -> Entries:
        """Those of a run that is over, to be removed."""
        entries = cls(settings, names)
        entries.were_made = True
        return entries

    def _ask(self, verb: str, **arguments: Any) -> Any:
        return call(self._control, verb, answer_within=ANSWER_SECONDS, **arguments)

    def make(self, sink_port: int) -> None:
        """Make them; live in every process of this host when it returns. Raises ControlError where there is no account."""
        names = self.names
        self.were_made = True
        relay = [_set("relay_hosts", f"127.0.0.1:{sink_port}")] if sink_port else []
        try:
            self._ask("add-domain", name=names.domain, changes=relay)
        except ControlError as error:
            self.were_made = error.code == TEMPORARY  # it may have been made all the same
            raise
        rules = [_set("extensions", f"program program {PROGRAM}")] if PROGRAM in self._settings.programs else []
        self._ask(
            "add-user",
            login=names.run,
            name="Gatepost self-test",
            addresses=[names.address("me"), names.address("postmaster")],
            changes=[_set("hidden", "yes"), _set("services", "imap", "pop3", "submission"), _set("quota", "0"), *rules],
            password=self.password,
        )
        self._try("list", self._make_list)
        self._try("alias", self._make_alias)

    def _try(self, what: Need, work: Callable[[], None]) -> None:
        try:
            work()
        except ControlError as error:
            self.missing[what] = error

    def _make_list(self) -> None:
        names = self.names
        self._ask(
            "add-list",
            address=names.address("list"),
            name="Gatepost self-test",
            members=[names.run, names.outside("member")],
            changes=[_set("hidden", "yes")],
        )

    def _make_alias(self) -> None:
        address = self.names.address("error")
        self._ask("add-alias", address=address, targets=[self.names.run])
        forward = {"field": "forwards", "operation": "add", "values": [self.names.address("nobody")]}
        self._ask("change", kind="alias", name=address, changes=[forward])

    def set_quota(self, octets: int) -> None:
        """The account's quota, 0 = unlimited. Raises ControlError."""
        self._ask("change", kind="user", name=self.names.run, changes=[_set("quota", str(octets))])

    # -- taking away -----------------------------------------------------------------------------------------

    def remove(self, until: float) -> list[str]:
        """Take away messages, entries and stores until the monotonic time `until`; what is left, in words."""
        if not self.were_made:
            return []
        left = self._drop_messages()
        for kind, name in (
            ("list", self.names.address("list")),
            ("alias", self.names.address("error")),
            ("user", self.names.run),
        ):
            left += self._until_done(partial(self._delete, kind, name), until)
        left += self._drop_messages()  # reports that were made meanwhile
        left += self._until_done(self._clean_store, until)
        if not left:  # it tells a later run what is still to do
            left += self._until_done(partial(self._delete, "domain", self.names.domain), until)
            self.were_made = bool(left)
        return left

    def _until_done(self, work: Callable[[], None], until: float) -> list[str]:
        while True:
            try:
                work()
            except ControlError as error:
                if time.monotonic() > until or error.code not in (NO, WRONG, TEMPORARY):
                    return [str(error)]
                time.sleep(PAUSE_SECONDS)
            else:
                return []

    def _delete(self, kind: str, name: str) -> None:
        """Raises ControlError unless it is gone."""
        try:
            self._ask("delete", kind=kind, name=name)
        except ControlError as error:
            # asked in any case: the agent may have been about to make it when the run was interrupted
            if error.code != NO or self._is_there(kind, name):
                raise

    def _is_there(self, kind: str, name: str) -> bool:
        with suppress(Deferred), local_copy(self._settings) as view:
            if kind == "domain":
                return view.domain(name) is not None
            return bool(view.owners(self.names.address("me") if kind == "user" else name))
        return True

    def _clean_store(self) -> None:
        if self._is_runner_silent:
            raise ControlError("the store stays: the queue runner does not answer", BUSY)
        call(self._mail, "selftest-clean", answer_within=ANSWER_SECONDS, domain=self.names.domain)

    def _drop_messages(self) -> list[str]:
        """Take every message from or to the domain out of the queue; what could not be, in words."""
        folder = Path(self._settings.state_dir) / "queue" / MESSAGES
        left: list[str] = []
        for message in _queued(folder, self.names):
            if self._is_dropped(message):
                continue
            # the file is the truth: without it the runner has nothing to do, now or when it comes back
            try:
                (folder / message).unlink(missing_ok=True)
            except OSError as error:
                left.append(f"{message} in the queue: {error.strerror}")
        return left

    def _is_dropped(self, message: str) -> bool:
        """True when the runner has thrown the message away; False where it does not know it, or does not answer."""
        begin = time.monotonic()
        while not self._is_runner_silent and time.monotonic() - begin < DROP_SECONDS:
            asked = time.monotonic()
            try:
                call(self._mail, "queue-drop", answer_within=DROP_SECONDS, message=message)
            except ControlError as error:
                self._is_runner_silent = time.monotonic() - asked >= DROP_SECONDS
                if error.code != TEMPORARY:
                    return False
                time.sleep(PAUSE_SECONDS)
            else:
                return True
        return False


def _set(field: str, *values: str) -> dict[str, Any]:
    return {"field": field, "operation": "set", "values": list(values)}


def _queued(folder: Path, names: Names) -> Iterator[str]:
    found = sorted(os.listdir(folder)) if folder.exists() else []
    seen = 0
    for name in found:
        seconds = name.partition(".")[0]
        if not seconds.isdigit() or not names.began - 1 <= int(seconds) <= names.began + RUN_SECONDS:
            continue
        seen += 1
        if seen > MAX_QUEUED:
            return
        try:
            envelope = read_envelope(folder / name)
        except (Damaged, OSError):
            continue
        if any(_is_in(text, names.domain) for text in (envelope.return_path, *(t.address for t in envelope.targets))):
            yield name


def _is_in(address: str, domain: str) -> bool:
    host = address.rpartition("@")[2].lower()
    return host == domain or host.endswith(f".{domain}")


def remove_leftovers(settings: Settings, until: float) -> list[str]:
    """Take away what runs that were killed left behind; what is still left, in words. Raises Deferred."""
    left: list[str] = []
    with local_copy(settings) as view:
        names = [Names(domain.name.removesuffix(".invalid")) for domain in view.domains() if is_ours(domain.name)]
    for one in names[:MAX_OLD]:
        if one.is_of_this_host or time.time() - one.began > OTHER_HOST_SECONDS:
            left += Entries.left_of(settings, one).remove(until)
    return left
