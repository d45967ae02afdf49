"""A backup of the whole system, made beside the running service. See `gateway.backup.manifest` for what is in it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import msgspec

from directory.model import Account
from gateway import __version__
from gateway.backup import entries
from gateway.backup.acting import acting_as
from gateway.backup.manifest import FORMAT, VERSION, BackupProblem, Folder, Manifest
from gateway.backup.state import QUEUE, TOP, copy_state
from gateway.config.settings import Settings
from gateway.service import overview
from gateway.service.identity import identities
from gateway.store import markers
from gateway.store.repository import AccountRow
from gateway.store.sqlite import SqliteRepository
from gateway.store.stores import Stores

ACCOUNTS = "accounts.tsv"
WORKER = 98  # part of unique names; workers are numbered from 0
AT_ONCE = 500
MAX_FILE = 16 * 1024 * 1024  # of a file that the configuration names
_SYSTEM = ("/usr/", "/bin/", "/sbin/", "/lib/", "/etc/ssl/certs/", "/dev/", "/proc/")


def make(
    path: Path,
    settings: Settings,
    top: Path,
    *,
    slapd: Path | None = None,
    with_directory: bool = True,
    with_stores: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> Manifest:
    """Write everything into the folder `top`. Raises BackupProblem, Deferred, OSError; then it has no manifest."""
    path = path.absolute()
    out = Folder(top)
    moment = time.time()
    state = Path(settings.state_dir)
    say("configuration and keys")
    for number, source in enumerate((path, *sorted(_named_files(settings, path)))):
        # behind a link (certbot's are) is what is wanted; it comes back as a file where the link was
        if not out.copy(source.resolve(), f"files/{number}-{source.name}", str(source)):
            raise BackupProblem(f"{source} is gone")
    say("state and queue")
    databases = copy_state(state, out)
    kind = "none"
    if with_directory:
        say("directory")
        kind = _directory(settings, out, slapd)
    stores = _stores(settings, out, with_stores=with_stores, say=say) if settings.role == "all" else None
    return out.finish(
        Manifest(
            FORMAT,
            VERSION,
            __version__,
            moment,
            settings.hostname,
            str(path),
            str(state),
            {name: volume.path for name, volume in settings.store.volumes.items()},
            overview.read(Path(settings.run_dir)) is not None,
            stores,
            kind,
            len(out.names(f"{TOP}/{QUEUE}/")),
            databases,
            (),
        )
    )


def _directory(settings: Settings, out: Folder, slapd: Path | None) -> str:
    if slapd is not None:
        entries.slapcat(slapd, out)
        return "slapcat"
    if settings.directory.ldif_path is not None:
        return "none"  # the file is among those that the configuration names
    entries.copy_entries(settings.directory, out)
    return "ldap"


def _named_files(settings: Settings, path: Path) -> set[Path]:
    """Files that the configuration names: keys, passwords, certificates, profiles; not what a package installs."""
    found = set()
    for text in _texts(msgspec.to_builtins(settings)):
        name = text.removeprefix("file://")
        if not name.startswith("/") or name.startswith(_SYSTEM) or "\0" in name:
            continue
        file = Path(name)
        try:
            is_one = file.is_file() and file.stat().st_size <= MAX_FILE
        except OSError:
            continue
        if is_one and file != path and not file.is_relative_to(settings.state_dir):  # which is copied whole
            found.add(file)
    return found


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _texts(each)


def _stores(settings: Settings, out: Folder, *, with_stores: bool, say: Callable[[str], None]) -> int | None:
    """Where the stores are, and with `with_stores` what is in them: how many, None when they are not."""
    mail = identities(settings.run_as).mail
    count = 0
    with acting_as(mail.uid, mail.gid):
        repository = SqliteRepository(Path(settings.state_dir) / "index")
        stores = Stores(settings.store, repository, WORKER)
    with closing(stores):
        found = []
        for row in _rows(repository, mail.uid, mail.gid):
            with acting_as(mail.uid, mail.gid):
                facts = markers.read(os.path.join(row.path, markers.ACCOUNT)) or {}
            addresses = tuple(str(each) for each in facts.get("addresses", ()))
            found.append((row, addresses))
        out.write(ACCOUNTS, (f"{row.account}\t{row.path}\t{' '.join(who)}\n".encode() for row, who in found))
        for number, (row, addresses) in enumerate(found if with_stores else (), 1):
            say(f"store {number} of {len(found)}")
            path = f"stores/{number}.tar"
            fd = os.open(out.create(path), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(fd, "wb") as file, acting_as(mail.uid, mail.gid):
                stores.export(Account(id=row.account, dn="", addresses=addresses), file)
            out.add(path, row.path)
            count += 1
    return count if with_stores else None


def _rows(repository: SqliteRepository, uid: int, gid: int) -> Iterator[AccountRow]:
    after = ""
    while True:
        with acting_as(uid, gid):
            rows = repository.accounts(after, AT_ONCE)
        if not rows:
            return
        after = rows[-1].account
        yield from rows
