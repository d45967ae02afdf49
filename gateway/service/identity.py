"""Under which uid each process runs, and which folders they share (configuration section `run_as`).

The master stays root to open sockets; its children give up root, every other group and the way back before
they do anything. The agent (`run_as.directory`) writes the directory copy, the others (`run_as.mail`) read it:
its folder belongs to the mail group, which the agent is a member of.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import pwd
from dataclasses import dataclass
from pathlib import Path

from gateway.config.settings import RunAs, Settings
from gateway.files.drop import ORIGIN
from gateway.service.metrics_files import clear

PR_SET_NO_NEW_PRIVS = 38
MAX_ID = 2**32 - 2
SHARED = 0o3770  # the group may make files, which get its group; nobody removes what another uid made
PASSABLE = 0o3771  # others may pass through, to what is open for them
DROP = 0o3733  # all may leave files, for the group, and nobody but their reader sees which there are
WEB_FOLDER = "web"  # in state_dir: the key of the web front end's cookies
REPLICA_FILES = ("data.mdb", "lock.mdb")


class NoSuchUser(Exception):
    """`run_as` names somebody who is not there, or cannot be; the message tells which key."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key


@dataclass(frozen=True, slots=True)
class Identity:
    """A uid with its groups."""

    uid: int
    gid: int
    groups: tuple[int, ...] = ()

    def take(self) -> None:
        """Become this uid for good. Raises OSError when it is not possible or could be undone."""
        if (os.getuid(), os.getgid()) != (self.uid, self.gid):
            os.setgroups(sorted({self.gid, *self.groups}))
            os.setresgid(self.gid, self.gid, self.gid)
            os.setresuid(self.uid, self.uid, self.uid)
        if self.uid != 0:
            with contextlib.suppress(PermissionError):
                os.setuid(0)
                raise OSError(f"uid {self.uid} could become root again")
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        os.umask(0o077)


@dataclass(frozen=True, slots=True)
class Identities:
    """Who is who on this host."""

    mail: Identity
    directory: Identity
    programs: Identity
    web: Identity


def own() -> Identity:
    """The uid that this process has."""
    return Identity(os.getuid(), os.getgid(), tuple(os.getgroups()))


def resolve(text: str) -> Identity:
    """A user by name, or a number that need not have an account. Raises ValueError."""
    if text.isascii() and text.isdigit():
        number = int(text)
        if number > MAX_ID:
            raise ValueError(f"{text} is not a uid, 0 to {MAX_ID} are")
        try:
            account = pwd.getpwuid(number)
        except KeyError:
            return Identity(number, number)
    else:
        try:
            account = pwd.getpwnam(text)
        except KeyError:
            raise ValueError(f"there is no user {text!r} on this host; a number needs no account") from None
    return Identity(account.pw_uid, account.pw_gid, tuple(os.getgrouplist(account.pw_name, account.pw_gid)))


def identities(run_as: RunAs) -> Identities:
    """Who runs what; without `run_as` all are who we are. Raises NoSuchUser."""
    found = {}
    for key in ("mail", "directory", "programs", "web"):
        text = getattr(run_as, key)
        try:
            found[key] = resolve(text) if text else None
        except ValueError as error:
            raise NoSuchUser(key, str(error)) from None
        wanted = found[key]
        if wanted is not None and os.getuid() not in (0, wanted.uid):
            raise NoSuchUser(key, f"{text!r} can only be taken by a service that is started as root")
    mail = found["mail"] or own()
    directory = found["directory"] or mail
    programs = found["programs"] or mail
    agent = Identity(directory.uid, directory.gid, (*directory.groups, mail.gid))
    return Identities(mail, agent, programs, found["web"] or mail)


def mail_uid(settings: Settings) -> int:
    """The uid of the mail processes, for whoever asks: `run_as.mail`, else whoever started the service. Raises NoSuchUser."""
    if settings.run_as.mail:
        try:
            return resolve(settings.run_as.mail).uid
        except ValueError as error:
            raise NoSuchUser("mail", str(error)) from None
    try:
        return os.stat(settings.state_dir).st_uid
    except OSError:
        return os.getuid()  # it has never run


def prepare_folders(settings: Settings, who: Identities) -> None:
    """Make state_dir and run_dir, shared as they have to be where we are root. Raises OSError."""
    separate = os.getuid() == 0 and who.mail.uid != 0
    state, run = Path(settings.state_dir), Path(settings.run_dir)
    for folder in (state, run):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for stale in run.glob("*.sock"):
        stale.unlink(missing_ok=True)
    clear(run)
    web = state / WEB_FOLDER
    web.mkdir(mode=0o700, exist_ok=True)
    if os.getuid() == 0:
        _give(web, who.web.uid, who.web.gid, 0o700)
    _prepare_drop(state, who.mail, settings.route.origin or settings.hostname)
    if not separate:
        return
    for folder in (state, run):
        _give(folder, 0, who.mail.gid, PASSABLE)
    replica = state / "replica"
    replica.mkdir(mode=0o700, exist_ok=True)
    _give(replica, who.directory.uid, who.mail.gid, SHARED)
    for name in REPLICA_FILES:  # made here because LMDB would make them with the agent's umask
        _give(replica / name, who.directory.uid, who.mail.gid, 0o660, make=True)


def _prepare_drop(state: Path, mail: Identity, origin: str) -> None:
    """Where programs of this host leave mail while the service is down; what they have to know stands beside it."""
    spool = state / "spool"
    for folder, mode in ((spool, 0o711), (spool / "drop", DROP)):
        folder.mkdir(mode=0o700, exist_ok=True)
        if os.getuid() in (0, folder.stat().st_uid):
            _give(folder, mail.uid, mail.gid, mode)
    told = spool / ORIGIN
    if not told.exists() or told.read_text(encoding="utf-8") != origin:
        fresh = spool / f".{ORIGIN}"
        fresh.unlink(missing_ok=True)
        fresh.write_text(origin, encoding="utf-8")
        fresh.chmod(0o644)
        fresh.replace(told)


def _give(path: Path, uid: int, gid: int, mode: int, *, make: bool = False) -> None:
    """Owner and mode, never through a symbolic link."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | (os.O_CREAT if make else os.O_DIRECTORY)
    opened = os.open(path, flags, 0o600)
    try:
        os.fchown(opened, uid, gid)
        os.fchmod(opened, mode)
    finally:
        os.close(opened)


def may(identity: Identity, path: Path, wanted: int) -> bool:
    """Could the uid open `path` (wanted: 4 read, 2 write, 1 search), as the modes of it and the folders above say?"""
    if identity.uid == 0:
        return path.exists()
    try:
        real = path.resolve(strict=True)
        return all(_allows(identity, each, 1) for each in real.parents) and _allows(identity, real, wanted)
    except OSError:
        return False


def _allows(identity: Identity, path: Path, wanted: int) -> bool:
    facts = path.stat()
    if facts.st_uid == identity.uid:
        shift = 6
    elif facts.st_gid in (identity.gid, *identity.groups):
        shift = 3
    else:
        shift = 0
    return (facts.st_mode >> shift) & wanted == wanted
