"""Debian's Dovecot (2.3) with a configuration and stores of its own, on loopback: what is adopted, and handed back to.

Everybody's password is `secret`; the Maildir of somebody is `home/<login>/Maildir`.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from free_ports import free_port
from packaged_mta import folder, wait_for_port

DOVECOT = "/usr/sbin/dovecot"
PASSWORD = "secret"


class Dovecot:
    """A running one."""

    def __init__(self, where: Path, imap: int, pop3: int) -> None:
        self.where = where
        self.imap = imap
        self.pop3 = pop3

    def maildir(self, login: str) -> Path:
        """The Maildir of somebody, whether it exists or not."""
        return self.where / "home" / login / "Maildir"

    def owns(self, path: Path) -> None:
        """Give everything below `path` to the user that Dovecot runs as for mail."""
        if os.getuid() == 0:
            owner = pwd.getpwnam("nobody")
            subprocess.run(["chown", "-R", f"{owner.pw_uid}:{owner.pw_gid}", str(path)], check=True)


@contextmanager
def dovecot(extra: str = "") -> Iterator[Dovecot]:
    """Dovecot with lines of its configuration besides."""
    imap, pop3 = free_port(), free_port()
    who = pwd.getpwnam("nobody") if os.getuid() == 0 else pwd.getpwuid(os.getuid())
    users = "" if os.getuid() == 0 else f"default_internal_user = {who.pw_name}\ndefault_login_user = {who.pw_name}\n"
    with folder() as where:
        (where / "home").mkdir()
        if os.getuid() == 0:
            shutil.chown(where / "home", "nobody")
        (where / "dovecot.conf").write_text(
            f"""{users}protocols = imap pop3
listen = 127.0.0.1
base_dir = {where}/run
state_dir = {where}/state
log_path = {where}/log
ssl = no
disable_plaintext_auth = no
first_valid_uid = 1
mail_location = maildir:~/Maildir
mail_max_userip_connections = 50
namespace inbox {{
  inbox = yes
  separator = /
}}
passdb {{
  driver = static
  args = password={PASSWORD}
}}
userdb {{
  driver = static
  args = uid={who.pw_uid} gid={who.pw_gid} home={where}/home/%u
}}
service imap-login {{
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service pop3-login {{
  inet_listener pop3 {{
    port = {pop3}
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
{extra}
"""
        )
        (where / "state").mkdir()
        process = subprocess.Popen(
            [DOVECOT, "-F", "-c", str(where / "dovecot.conf")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            wait_for_port(imap, process, where / "log")
            wait_for_port(pop3, process, where / "log")
            yield Dovecot(where, imap, pop3)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)
