"""Lines to paste after `gatepost demo`: an ordinary mail program for each thing the demo serves."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

MBSYNC = """# `mbsync -c {folder}/mbsyncrc -a` brings the mail of {login} to {folder}/{login}-mail and back
IMAPAccount demo
Host localhost
Port {port}
User {login}
Pass {password}
SSLType IMAPS
CertificateFile {folder}/tls/ca.pem

IMAPStore far
Account demo

MaildirStore near
Path {folder}/{login}-mail/
Inbox {folder}/{login}-mail/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Both
Expunge Both
SyncState *
"""


def write_mbsyncrc(folder: Path, ports: Mapping[str, int], account: Mapping[str, Any]) -> None:
    """A configuration of mbsync for an account, readable by its owner only. Raises OSError."""
    (folder / f"{account['login']}-mail").mkdir(mode=0o700, exist_ok=True)
    path = folder / "mbsyncrc"
    path.touch(0o600)
    path.write_text(
        MBSYNC.format(folder=folder, port=ports["imaps"], login=account["login"], password=account["password"])
    )


def lines(host: str, folder: Path, ports: Mapping[str, int], account: Mapping[str, Any]) -> list[str]:
    """What to try."""
    login, password, address = account["login"], account["password"], account["addresses"][0]
    return [
        f"swaks --server {host}:{ports['mx']} --to {address} --from me@elsewhere.example",
        f"curl -s --cacert {folder}/tls/ca.pem 'imaps://localhost:{ports['imaps']}/INBOX;UID=1' -u {login}:{password}",
        f"curl -s 'pop3://{host}:{ports['pop3']}/1' -u {login}:{password}",
        f"swaks --server {host}:{ports['submission']} -tls --auth-user {login} --auth-password {password} "
        f"--from {address} --to friend@elsewhere.example",
        f"mbsync -c {folder}/mbsyncrc -a",
        f"openssl s_client -connect {host}:{ports['imaps']} -CAfile {folder}/tls/ca.pem -crlf -quiet",
    ]
