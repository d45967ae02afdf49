"""Does the configuration fit this host? Folders, volumes, ports, certificates, the directory: each is tried."""

from __future__ import annotations

import datetime as dt
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import ldap3
from ldap3.core.exceptions import LDAPException

from directory.connection import Servers, close
from directory.model import Deferred
from gateway.config.certificate import certificate_problems, certificate_warnings
from gateway.config.reading import Problem, Reader
from gateway.config.settings import WEB, WEB_IMAP, WEB_SUBMISSION, Settings
from gateway.service.identity import NoSuchUser, identities, may, own
from gateway.service.overview import read
from gateway.store.markers import STORE

NETWORK_FILESYSTEMS = ("nfs", "nfs4", "cifs", "smb3", "ceph", "fuse.sshfs", "9p")
NO_SUCH_OBJECT = 32
#: path of the value, what is wrong, whether it only is a warning
Found = Iterator[tuple[tuple[str, ...], str, bool]]


def host_problems(settings: Settings, reader: Reader) -> list[Problem]:
    """Everything on this host that stands in the way, with the place in the file; warnings too."""
    checks: tuple[Callable[[Settings], Found], ...] = (
        _open_relay,
        _users,
        _certificate,
        _ports,
        _folders,
        _volumes,
        _password,
        _directory,
    )
    found = [each for check in checks for each in check(settings)]
    problems = [reader.problem(steps, message, is_warning=warning) for steps, message, warning in found]
    return sorted(problems, key=lambda problem: problem.line)


def _open_relay(settings: Settings) -> Found:
    if settings.smtp.open_relay != "no":
        yield ("smtp", "open_relay"), "OPEN RELAY: port 25 takes mail of everybody for everywhere", True


def _users(settings: Settings) -> Found:
    """Who serves must be there, and may read and write what it needs."""
    try:
        who = identities(settings.run_as)
    except NoSuchUser as error:
        yield ("run_as", error.key), str(error), os.getuid() != 0
        return
    if who.mail == own():
        return
    secret = settings.directory.bind.password_file
    needs = [
        (("tls", "cert"), settings.tls.cert, who.mail, 4, "read"),
        (("tls", "key"), settings.tls.key, who.mail, 4, "read"),
        (("directory", "bind", "password_file"), secret, who.directory, 4, "read"),
        (("directory", "tls", "ca_file"), settings.directory.tls.ca_file, who.directory, 4, "read"),
        (("relay", "ca_file"), settings.relay.ca_file, who.mail, 4, "read"),
    ]
    for key, credentials in settings.relay.credentials.items():
        needs.append((("relay", "credentials", key, "password_file"), credentials.password_file, who.mail, 4, "read"))
    for name, volume in settings.store.volumes.items():
        needs.append((("store", "volumes", name, "path"), volume.path, who.mail, 3, "written to"))
    if settings.web.oidc.issuer:
        secret_file, ca_file = settings.web.oidc.client_secret_file, settings.web.oidc.ca_file
        needs += [(("web", "oidc", "client_secret_file"), secret_file, who.directory, 4, "read")]
        needs += [(("web", "oidc", "ca_file"), ca_file, who.directory, 4, "read")]
    if settings.web.tls == "implicit":
        needs += [(("tls", "cert"), settings.tls.cert, who.web, 4, "read")]
        needs += [(("tls", "key"), settings.tls.key, who.web, 4, "read")]
    for steps, path, identity, wanted, word in needs:
        if path and Path(path).exists() and not may(identity, Path(path), wanted):
            yield steps, f"{path} cannot be {word} by uid {identity.uid}", False
    if who.mail.uid == who.directory.uid:
        yield (
            ("run_as", "directory"),
            "is the same user as run_as.mail, so a hole there opens the directory's password",
            True,
        )
    if settings.web.listen and who.web.uid in (who.mail.uid, who.directory.uid):
        yield (
            ("run_as", "web"),
            "the web front end runs as a user of the service, so a hole there opens all mail; gp-web is made for it",
            True,
        )
    if settings.programs and who.programs.uid in (who.mail.uid, who.directory.uid):
        yield ("run_as", "programs"), "delivery programs run as a user of the service, which can read all mail", True
    for name, program in settings.programs.items():
        if not may(who.programs, Path(program.argv[0]), 1):
            yield ("programs", name, "argv"), f"{program.argv[0]} cannot be run by uid {who.programs.uid}", False
    if who.mail.uid != who.directory.uid and secret and Path(secret).exists() and may(who.mail, Path(secret), 4):
        yield (
            ("directory", "bind", "password_file"),
            f"{secret} can be read by run_as.mail, which does not need it",
            True,
        )


def _certificate(settings: Settings) -> Found:
    problems = list(certificate_problems(settings))
    yield from ((steps, message, False) for steps, message in problems)
    if settings.tls.cert and settings.tls.key and not problems:
        now = dt.datetime.now(dt.UTC)
        yield from ((steps, message, True) for steps, message in certificate_warnings(settings, now))
    if not settings.tls.cert and any(each.tls == "starttls" for some in settings.listen.values() for each in some):
        yield ("tls",), "without tls.cert clients cannot use TLS on the starttls listeners", True


def _runs(settings: Settings) -> bool:
    try:
        return read(Path(settings.run_dir)) is not None
    except OSError:
        return False


def _ports(settings: Settings) -> Found:
    if _runs(settings):
        return  # its own ports are taken by the service itself
    for service, listeners in settings.listeners().items():
        if service in ("local", WEB_IMAP, WEB_SUBMISSION):
            continue  # in run_dir, which the service makes
        for number, listener in enumerate(listeners):
            alone = service in ("metrics", WEB)  # one address and port in one text
            steps = (service,) if alone else ("listen", service, str(number))
            if listener.port is None:
                if not Path(listener.path).parent.is_dir():
                    yield (*steps, "path"), f"{Path(listener.path).parent} is not a folder", False
                continue
            family = socket.AF_INET6 if ":" in listener.address else socket.AF_INET
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind((listener.address, listener.port))
                except PermissionError:
                    key = "listen" if alone else "port"
                    yield (*steps, key), f"{listener.port} needs root or systemd socket activation", True
                except OSError as error:
                    key = "address" if error.strerror and "assign" in error.strerror else "port"
                    key = "listen" if alone else key
                    yield (*steps, key), f"{listener.address}:{listener.port}: {error.strerror}", False


def _existing(path: Path) -> Path:
    while not path.exists() and path != path.parent:
        path = path.parent
    return path


def _folders(settings: Settings) -> Found:
    for key in ("state_dir", "run_dir"):
        path = Path(getattr(settings, key))
        near = _existing(path)
        if not near.is_dir():
            yield (key,), f"{near} is not a folder", False
        elif not os.access(near, os.W_OK | os.X_OK):
            yield (key,), f"{near} cannot be written to by uid {os.getuid()}", False
        elif key == "state_dir" and (kind := filesystem_of(near)) in NETWORK_FILESYSTEMS:
            yield (key,), f"{path} is on {kind}; indexes and databases need a local disk", False


def filesystem_of(path: Path, table: str = "/proc/self/mounts") -> str:
    """The type of the file system that holds `path`; "" when unknown."""
    real, best = str(path.resolve()), ("", "")
    try:
        lines = Path(table).read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return ""
    for line in lines:
        mount, kind = line.split(" ")[1:3]
        mount = mount.encode().decode("unicode_escape")
        if (real == mount or real.startswith(mount.rstrip("/") + "/")) and len(mount) >= len(best[0]):
            best = (mount, kind)
    return best[1]


def _volumes(settings: Settings) -> Found:
    for name, volume in settings.store.volumes.items():
        steps = ("store", "volumes", name, "path")
        path = Path(volume.path)
        if not path.is_dir():
            yield steps, f"{path} is not a folder", False
        elif not (path / STORE).exists():
            yield steps, f"{path} has no {STORE}: not mounted, or `gatepost setup` has not prepared it", False
        elif not os.access(path, os.W_OK | os.X_OK):
            yield steps, f"{path} cannot be written to by uid {os.getuid()}", False


def _password(settings: Settings) -> Found:
    files: list[tuple[tuple[str, ...], str]] = [
        (("directory", "bind", "password_file"), settings.directory.bind.password_file),
        (("directory", "tls", "ca_file"), settings.directory.tls.ca_file),
        (("relay", "ca_file"), settings.relay.ca_file),
    ]
    for key, credentials in settings.relay.credentials.items():
        files.append((("relay", "credentials", key, "password_file"), credentials.password_file))
    for steps, name in files:
        if not name:
            continue
        path = Path(name)
        try:
            path.read_bytes()
            if steps[-1] == "password_file" and path.stat().st_mode & 0o004:
                yield steps, f"{path} can be read by everybody on this host", True
        except OSError as error:
            yield steps, f"{path} cannot be read: {error.strerror}", False


def _directory(settings: Settings) -> Found:
    """A directory that is down is no reason not to start: mail keeps flowing from the local copy."""
    connection = None
    try:
        connection = Servers(settings.directory).open(ldap3.SAFE_SYNC)
        _, result, _, _ = connection.search(settings.directory.base, "(objectClass=*)", ldap3.BASE, attributes=["1.1"])
        if result["result"] == NO_SUCH_OBJECT:
            yield (
                ("directory", "base"),
                f"{settings.directory.base!r} does not exist, or may not be seen by bind.dn",
                True,
            )
        elif result["result"]:
            yield ("directory", "base"), f"cannot be read: {result['description']}", True
    except Deferred as error:
        yield ("directory", "servers"), f"cannot be reached: {error.detail}", True
    except LDAPException as error:
        yield ("directory", "servers"), f"does not answer: {error}", True
    finally:
        close(connection)
