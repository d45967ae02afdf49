"""LDAPS and StartTLS to a real slapd: the right authority, a wrong one, a wrong name, no TLS at all."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ldap3
import pytest
from following import SUFFIX, Following, Slapd, company, eventually, free_port

from directory.connection import Servers, close
from directory.model import Condition, Deferred
from directory.settings import DirectorySettings, Tls
from gateway.service.demo_certificate import make_certificates


class TlsSlapd(Slapd):
    """Listens on an ldaps port, too."""

    def __init__(self, folder: Path, content: str, certificates: Path) -> None:
        self.ldaps_port = free_port()
        super().__init__(folder, content)
        self.stop()
        path = folder / "slapd.d" / "cn=config.ldif"
        lines = (f"olcTLS{key}: {certificates / name}\n" for key, name in
                 (("CACertificateFile", "ca.pem"), ("CertificateFile", "cert.pem"), ("CertificateKeyFile", "key.pem")))  # fmt: skip
        path.write_text(path.read_text() + "".join(lines))
        command = self.directory.command()
        command[command.index("-h") + 1] += f" ldaps://127.0.0.1:{self.ldaps_port}/"
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        eventually(self.directory.answers)


@pytest.fixture(scope="module")
def slapd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsSlapd]:
    folder = tmp_path_factory.mktemp("tls")
    make_certificates(folder / "right", [])
    make_certificates(folder / "wrong", [])
    running = TlsSlapd(folder / "ldap", company("jane"), folder / "right")
    yield running
    running.stop()


def settings(slapd: TlsSlapd, url: str, **tls: Any) -> DirectorySettings:
    folder = slapd.directory.folder.parent
    if "ca_file" in tls:
        tls["ca_file"] = str(folder / tls["ca_file"])
    return slapd.settings(url, tls=Tls(**tls))


def ldaps(slapd: TlsSlapd, host: str = "127.0.0.1") -> str:
    return f"ldaps://{host}:{slapd.ldaps_port}"


@pytest.mark.parametrize("strategy", [ldap3.SAFE_SYNC, ldap3.ASYNC, ldap3.ASYNC_STREAM])
@pytest.mark.parametrize("secure", ["ldaps", "ldaps by name", "starttls"])
def test_the_right_authority(slapd: TlsSlapd, strategy: str, secure: str) -> None:
    url = {"ldaps": ldaps(slapd), "ldaps by name": ldaps(slapd, "localhost")}.get(secure, slapd.directory.uri)
    found = settings(slapd, url, ca_file="right/ca.pem", starttls=secure == "starttls")
    connection = Servers(found).open(strategy, patient=strategy == ldap3.ASYNC_STREAM)
    try:
        assert connection.bound and connection.socket.version().startswith("TLS")
    finally:
        close(connection)


@pytest.mark.parametrize("strategy", [ldap3.ASYNC, ldap3.ASYNC_STREAM])
def test_a_closed_connection_leaves_its_descriptor_alone(slapd: TlsSlapd, tmp_path: Path, strategy: str) -> None:
    # a thread of ldap3 that is in OpenSSL while its socket is closed would write into whatever has the number next
    servers = Servers(settings(slapd, ldaps(slapd), ca_file="right/ca.pem"))
    content = b"x" * 100
    for number in range(12):
        connection = servers.open(strategy, patient=strategy == ldap3.ASYNC_STREAM)
        receiver = connection.strategy.receiver
        close(connection)
        assert not receiver.is_alive()
        path = tmp_path / str(number)
        path.write_bytes(content)
        with path.open("r+b", buffering=0) as file, path.open("rb", buffering=0) as other:
            assert (file.tell(), other.tell(), path.read_bytes()) == (0, 0, content)


@pytest.mark.parametrize("secure", ["ldaps", "starttls"])
@pytest.mark.parametrize(
    ("tls", "expected"),
    [({"ca_file": "wrong/ca.pem"}, "directory.tls.ca_file must hold"), ({}, "directory.tls.ca_file must hold"),
     ({"ca_file": "nowhere.pem"}, "nowhere.pem: No such file or directory")],
)  # fmt: skip
def test_a_wrong_authority_is_trouble_and_says_so(
    slapd: TlsSlapd, secure: str, tls: dict[str, Any], expected: str
) -> None:
    url = ldaps(slapd) if secure == "ldaps" else slapd.directory.uri
    for strategy in (ldap3.SAFE_SYNC, ldap3.ASYNC_STREAM):
        with pytest.raises(Deferred) as caught:
            Servers(settings(slapd, url, starttls=secure == "starttls", **tls)).open(strategy)
        assert caught.value.condition is Condition.DIRECTORY_UNAVAILABLE
        assert expected in caught.value.detail and url in caught.value.detail


def test_a_certificate_of_another_name_is_refused_and_none_takes_any(slapd: TlsSlapd) -> None:
    # the same place, by an address that the certificate does not have
    with pytest.raises(Deferred) as caught:
        Servers(settings(slapd, ldaps(slapd, "127.1"), ca_file="right/ca.pem")).open()
    assert "must name the server" in caught.value.detail
    close(Servers(settings(slapd, ldaps(slapd), verify="none")).open())


def test_a_server_without_starttls_gets_no_password(tmp_path: Path) -> None:
    plain = Slapd(tmp_path / "plain", company("jane"))
    try:
        found = plain.settings(tls=Tls(starttls=True))
        for strategy in (ldap3.SAFE_SYNC, ldap3.ASYNC_STREAM):
            with pytest.raises(Deferred):
                Servers(found).open(strategy)
    finally:
        plain.stop()


def test_following_over_tls(slapd: TlsSlapd, tmp_path: Path) -> None:
    for name, url, starttls in (("a", ldaps(slapd), False), ("b", slapd.directory.uri, True)):
        following = Following(tmp_path / name, settings(slapd, url, ca_file="right/ca.pem", starttls=starttls))
        try:
            eventually(lambda running=following: running.is_final() and running.has("jane@example.com"))  # type: ignore[misc]
            with slapd.admin() as admin:
                change = {"gatepostAddress": [(ldap3.MODIFY_ADD, [f"{name}@example.com"])]}
                assert admin.modify(f"uid=jane,ou=people,{SUFFIX}", change)
            eventually(lambda running=following, wanted=name: running.has(f"{wanted}@example.com"))  # type: ignore[misc]
        finally:
            following.stop()
