"""Debian's Postfix and OpenSMTPD as far ends: each with a configuration and a spool of its own, on loopback, for one test.

Both hand what they take to `sink`, a port of a scripted host. They refuse no@far.example for good and
later@far.example for now.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import trustme
from free_ports import free_port
from unpacked import unpacked

POSTFIX = "/usr/sbin/postfix"


def wait_for_port(port: int, process: subprocess.Popen[bytes] | None, log: Path) -> None:
    begin = time.monotonic()
    while time.monotonic() - begin < 20:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1):
                return
        except OSError:
            if process is not None and process.poll() is not None:
                break
            time.sleep(0.05)
    raise RuntimeError(f"nobody serves port {port}: {log.read_text() if log.exists() else ''}")


@contextmanager
def folder() -> Iterator[Path]:
    """A folder that other users may enter."""
    made = Path(tempfile.mkdtemp(prefix="far-end-", dir="/tmp"))
    made.chmod(0o755)
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def certificate(where: Path) -> None:
    """cert.pem and key.pem of an authority that nobody knows."""
    leaf = trustme.CA().issue_cert("far.example", key_type=trustme.KeyType.RSA)
    (where / "cert.pem").write_bytes(b"".join(pem.bytes() for pem in leaf.cert_chain_pems))
    leaf.private_key_pem.write_to_path(str(where / "key.pem"))
    (where / "key.pem").chmod(0o600)


@contextmanager
def postfix(sink: int) -> Iterator[int]:
    """Postfix; its port."""
    port = free_port()
    with folder() as where:
        certificate(where)
        for name in ("etc", "spool", "data"):
            (where / name).mkdir()
        shutil.chown(where / "data", "postfix")
        (where / "etc" / "main.cf").write_text(
            f"""compatibility_level = 3.6
queue_directory = {where}/spool
data_directory = {where}/data
maillog_file = {where}/mail.log
maillog_file_prefixes = {where}
myhostname = far.example
mydestination =
mynetworks =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps =
relay_domains = far.example
transport_maps = inline:{{ {{far.example = smtp:[127.0.0.1]:{sink}}}, {{here.example = smtp:[127.0.0.1]:{sink}}} }}
smtpd_recipient_restrictions = check_recipient_access inline:{{ {{no@far.example = 550 5.1.1 nobody here}},
    {{later@far.example = 450 4.2.1 not now}} }}, reject_unauth_destination
smtpd_tls_security_level = may
smtpd_tls_received_header = yes
smtpd_tls_cert_file = {where}/cert.pem
smtpd_tls_key_file = {where}/key.pem
message_size_limit = 2000000
smtp_tls_security_level = none
"""
        )
        (where / "etc" / "master.cf").write_text(
            f"""127.0.0.1:{port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
smtp unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
proxymap unix - - n - - proxymap
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
"""
        )
        log = where / "log"
        command = [POSTFIX, "-c", str(where / "etc")]
        with log.open("wb") as out:
            subprocess.run([*command, "start"], stdout=out, stderr=out, timeout=60, check=False)
        try:
            wait_for_port(port, None, log)
            yield port
        finally:
            subprocess.run([*command, "stop"], capture_output=True, timeout=60, check=False)


@contextmanager
def opensmtpd(sink: int) -> Iterator[int]:
    """OpenSMTPD, in a mount namespace where its users, spool and helpers exist; its port."""
    files = unpacked("opensmtpd", "opensmtpd")  # it cannot be installed beside Postfix
    port = free_port()
    with folder() as where:
        certificate(where)
        for name in ("spool/smtpd", "run", "lib/opensmtpd/empty"):
            (where / name).mkdir(parents=True)
        (where / "spool/smtpd").chmod(0o711)
        users = "opensmtpd:x:64001:64001::/var/lib/opensmtpd/empty:/bin/false\nopensmtpq:x:64002:64002::/var/lib/opensmtpd/empty:/bin/false\n"
        (where / "passwd").write_text(Path("/etc/passwd").read_text() + users)
        (where / "group").write_text(Path("/etc/group").read_text() + "opensmtpd:x:64001:\nopensmtpq:x:64002:\n")
        (where / "smtpd.conf").write_text(
            f"""pki far cert "{where}/cert.pem"
pki far key "{where}/key.pem"
smtp max-message-size 2000000
filter later phase rcpt-to match rcpt-to {{ "later@far.example" }} reject "451 4.2.1 not now"
filter no phase rcpt-to match rcpt-to {{ "no@far.example" }} reject "550 5.1.1 nobody here"
listen on 127.0.0.1 port {port} tls pki far hostname far.example filter {{ later, no }}
action sink relay host smtp://127.0.0.1:{sink}
match from any for domain "far.example" action sink
match for any action sink
"""
        )
        (where / "smtpd.conf").chmod(0o600)
        log = where / "log"
        binds = (
            ("spool", "/var/spool"),
            ("run", "/run"),
            ("lib", "/var/lib"),
            ("passwd", "/etc/passwd"),
            ("group", "/etc/group"),
        )
        script = "".join(f"mount --bind {where}/{own} {place} && " for own, place in binds)
        script += (
            f"mount --bind {files}/usr/libexec /usr/libexec && exec {files}/usr/sbin/smtpd -d -f {where}/smtpd.conf"
        )
        with log.open("wb") as out:
            process = subprocess.Popen(
                ["unshare", "-m", "sh", "-c", script],
                stdout=out,
                stderr=out,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        try:
            wait_for_port(port, process, log)
            yield port
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(10)
